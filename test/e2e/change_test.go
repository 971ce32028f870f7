package e2e

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"time"
)

// change makes a changing request as an admin.
func (m *subject) change(method, path, body string) (status int, answer string, err error) {
	req, err := http.NewRequest(method, "http://"+m.http+path, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	req.Header.Set("Authorization", "Bearer "+adm)
	if req.Header.Set("Content-Type", "text/plain"); path == "/register" {
		req.Header.Set("Content-Type", "application/json")
	}
	client := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text), err
}

// listedMonitor is a monitor as /api/v1/monitors lists it.
type listedMonitor struct {
	ID       int64    `json:"id"`
	Name     string   `json:"name"`
	State    string   `json:"state"`
	Value    *float64 `json:"value"`
	Probes   int64    `json:"probes"`
	Failures int64    `json:"failures"`
}

// listed returns the monitors of an instance by name.
func (m *subject) listed() map[string]listedMonitor {
	m.t.Helper()
	status, text, err := m.change(http.MethodGet, "/api/v1/monitors", "")
	var answer struct {
		Monitors []listedMonitor `json:"monitors"`
	}
	if err == nil {
		err = json.Unmarshal([]byte(text), &answer)
	}
	if err != nil || status != http.StatusOK {
		m.t.Errorf("listing monitors: %d, %v", status, err)
	}
	byName := make(map[string]listedMonitor)
	for _, one := range answer.Monitors {
		byName[one.Name] = one
	}
	return byName
}
