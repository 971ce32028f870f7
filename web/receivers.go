package web

import (
	"net/http"

	"github.com/microhq/monitor-srv/delivery"
)

// receivers lists the receivers of notifications.
func (s *Server) receivers(w http.ResponseWriter, _ *http.Request) {
	answerJSON(w, struct {
		Receivers []delivery.ReceiverStatus `json:"receivers"`
	}{append([]delivery.ReceiverStatus{}, s.cfg.Receivers()...)})
}
