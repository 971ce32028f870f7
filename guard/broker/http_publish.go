package broker

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"time"

	"go-micro.dev/v4/broker"
	"go-micro.dev/v4/registry"
	"go-micro.dev/v4/transport/headers"
	"golang.org/x/sync/errgroup"

	"github.com/microhq/monitor-srv/guard"
)

// Requests in flight for one event. A dead host occupies one until the timeout, so there
// are more than the live hosts need.
const parallelPosts = 64

// httpPublisher posts events as the stock http broker does, with a deadline. In the
// stock broker a stuck subscriber holds three goroutines and a socket for each event,
// and the newest events of a burst are dropped without an error.
type httpPublisher struct {
	lookup  *lookup
	client  *http.Client
	timeout time.Duration
	life    context.Context
	end     context.CancelFunc
}

func newHTTPPublisher(cfg HTTPConfig, s *httpSubscriptions) *httpPublisher {
	config := cfg.TLSConfig.Clone()
	if config == nil {
		config = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	p := &httpPublisher{lookup: newLookup(s, cfg.Timeout/2), timeout: cfg.Timeout}
	p.life, p.end = context.WithCancel(context.Background())
	p.client = &http.Client{
		Transport: &http.Transport{
			DialContext:         (&net.Dialer{Timeout: cfg.Timeout}).DialContext,
			TLSClientConfig:     config,
			TLSHandshakeTimeout: cfg.Timeout,
			MaxIdleConns:        64,
			MaxIdleConnsPerHost: 4,
			IdleConnTimeout:     30 * time.Second,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return p
}

// close ends the requests in flight.
func (p *httpPublisher) close() {
	p.end()
	p.client.CloseIdleConnections()
}

// publish posts msg to each subscriber of topic, and to one of each queue. It succeeds
// if one accepted the event or there is no subscriber.
func (p *httpPublisher) publish(ctx context.Context, topic string, msg *broker.Message) error {
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	defer context.AfterFunc(p.life, cancel)()
	header := maps.Clone(msg.Header)
	header[headers.Message] = topic // also if the header names another one
	body, err := json.Marshal(broker.Message{Header: header, Body: msg.Body})
	if err != nil {
		return err
	}
	nodes, err := p.lookup.find(ctx, topic)
	if err != nil {
		return err
	}
	errs := make([]error, len(nodes))
	var posts errgroup.Group
	posts.SetLimit(parallelPosts)
	for i, node := range nodes {
		posts.Go(func() error {
			errs[i] = p.post(ctx, node, body)
			return nil
		})
	}
	_ = posts.Wait()
	if err = errors.Join(errs...); err != nil {
		p.lookup.doubt()
	}
	if slices.Contains(errs, nil) {
		return nil
	}
	return err
}

func (p *httpPublisher) post(ctx context.Context, node *registry.Node, body []byte) error {
	scheme := "http"
	if node.Metadata["secure"] == "true" {
		scheme = "https"
	}
	to := url.URL{Scheme: scheme, Host: node.Address, Path: "/", RawQuery: url.Values{"id": {node.Id}}.Encode()}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to.String(), bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	rsp, err := p.client.Do(req)
	if err != nil {
		return fmt.Errorf("posting to %s: %w", node.Address, guard.Shorten(err))
	}
	defer func() { _ = rsp.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(rsp.Body, 64<<10))
	if rsp.StatusCode >= http.StatusMultipleChoices {
		return fmt.Errorf("posting to %s: status %d", node.Address, rsp.StatusCode)
	}
	return nil
}
