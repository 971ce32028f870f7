package broker

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"time"

	"go-micro.dev/v4/broker"
	"go-micro.dev/v4/codec/json"
	"go-micro.dev/v4/registry"
	"go-micro.dev/v4/registry/cache"
	"golang.org/x/sync/errgroup"

	"github.com/microhq/monitor-srv/guard"
)

const (
	// What the stock http broker calls itself in the registry, and the version by
	// which a subscription without a queue is known.
	httpServiceName = "micro.http.broker"
	httpBroadcast   = "ff.http.broadcast"
	// Posts of one event that are under way at once. A dead host holds one until the
	// timeout, so there are enough for some dead ones beside the living.
	parallelPosts = 64
)

// httpSender posts events as the stock http broker does. The stock one has no
// deadline, so that a stuck subscriber costs three goroutines and a socket for
// each event, and it drops the newest of a burst without a word.
type httpSender struct {
	reg     cache.Cache
	client  *http.Client
	timeout time.Duration
	life    context.Context
	end     context.CancelFunc
}

func newHTTPSender(cfg HTTPConfig, reg cache.Cache) *httpSender {
	config := cfg.TLSConfig.Clone()
	if config == nil {
		config = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	s := &httpSender{reg: reg, timeout: cfg.Timeout}
	s.life, s.end = context.WithCancel(context.Background())
	s.client = &http.Client{
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
	return s
}

// close ends the posts under way and the following of the registry.
func (s *httpSender) close() {
	s.end()
	s.reg.Stop()
	s.client.CloseIdleConnections()
}

// publish posts msg to each subscriber of topic, and to one of each queue. It
// succeeds if there is none, or one took it.
func (s *httpSender) publish(ctx context.Context, topic string, msg *broker.Message) error {
	if ctx == nil {
		ctx = context.Background()
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	defer context.AfterFunc(s.life, cancel)()
	body, err := json.Marshaler{}.Marshal(msg)
	if err != nil {
		return err
	}
	services, err := s.reg.GetService(httpServiceName)
	if err != nil && !errors.Is(err, registry.ErrNotFound) {
		return err
	}
	nodes := receivers(services, topic)
	errs := make([]error, len(nodes))
	var posts errgroup.Group
	posts.SetLimit(parallelPosts)
	for i, node := range nodes {
		posts.Go(func() error {
			errs[i] = s.post(ctx, node, body)
			return nil
		})
	}
	_ = posts.Wait()
	for _, err := range errs {
		if err == nil {
			return nil
		}
	}
	return errors.Join(errs...)
}

// receivers picks who gets an event: every node of a broadcast, one of a queue.
func receivers(services []*registry.Service, topic string) []*registry.Node {
	var all []*registry.Node
	for _, s := range services {
		var nodes []*registry.Node
		for _, n := range s.Nodes {
			if n.Metadata["broker"] == "http" && n.Metadata["topic"] == topic {
				nodes = append(nodes, n)
			}
		}
		if s.Version != httpBroadcast && len(nodes) > 1 {
			nodes = []*registry.Node{nodes[rand.IntN(len(nodes))]}
		}
		all = append(all, nodes...)
	}
	return all
}

func (s *httpSender) post(ctx context.Context, node *registry.Node, body []byte) error {
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
	rsp, err := s.client.Do(req)
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
