// Command micro1 is a service's side of go-micro v1.0.0 of April 2019: it publishes
// events over the http broker and calls methods, both through Consul.
//
//	micro1 publish [flags] TOPIC < event
//	micro1 call [flags] SERVICE METHOD < request > response
//
// A body is JSON, or the bytes of an encoded protobuf message, as the content type says.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"time"

	"github.com/micro/go-micro/broker"
	"github.com/micro/go-micro/client"
	"github.com/micro/go-micro/registry"
	"github.com/micro/go-micro/registry/consul"
	"github.com/micro/go-micro/selector"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("micro1: ")
	if err := run(os.Args[1:]); err != nil {
		log.Fatal(err)
	}
}

// maxBody bounds what is read from standard input, in bytes.
const maxBody = 1 << 20

// options are the flags of both commands.
type options struct {
	registry, address, contentType string
	timeout                        time.Duration
	count                          int
	every, linger                  time.Duration
}

func run(args []string) error {
	if len(args) == 0 {
		return errors.New("give publish or call")
	}
	var o options
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	flags.StringVar(&o.registry, "registry", "127.0.0.1:8500", "`address` of Consul")
	flags.StringVar(&o.contentType, "type", client.DefaultContentType, "content `type` of the body")
	flags.StringVar(&o.address, "address", "", "call: `address` of the service, which Consul is not asked for; the codecs are then those of 2018")
	flags.DurationVar(&o.timeout, "timeout", 5*time.Second, "call: `time` until the response")
	flags.IntVar(&o.count, "count", 1, "publish: `number` of times")
	flags.DurationVar(&o.every, "every", 100*time.Millisecond, "publish: `time` between two events")
	flags.DurationVar(&o.linger, "linger", time.Second, "publish: `time` until the end, because the broker sends in the background")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	body, err := io.ReadAll(io.LimitReader(os.Stdin, maxBody))
	if err != nil {
		return fmt.Errorf("reading standard input: %w", err)
	}
	switch words := flags.Args(); {
	case args[0] == "publish" && len(words) == 1:
		return publish(o, words[0], body)
	case args[0] == "call" && len(words) == 2:
		return call(o, words[0], words[1], body)
	}
	return fmt.Errorf("%q: give publish TOPIC or call SERVICE METHOD, flags first", args)
}

func publish(o options, topic string, body []byte) error {
	reg := consul.NewRegistry(registry.Addrs(o.registry))
	b := broker.NewBroker(broker.Registry(reg), broker.Addrs("127.0.0.1:0"))
	if err := b.Connect(); err != nil {
		return fmt.Errorf("connecting the broker: %w", err)
	}
	c := client.NewClient(client.Registry(reg), client.Broker(b), client.ContentType(o.contentType))
	for n := range o.count {
		if n > 0 {
			time.Sleep(o.every)
		}
		msg := c.NewMessage(topic, newMessage(o.contentType, false, body))
		if err := c.Publish(context.Background(), msg); err != nil {
			return fmt.Errorf("publishing to %q: %w", topic, err)
		}
	}
	time.Sleep(o.linger)
	return b.Disconnect()
}

func call(o options, service, method string, body []byte) error {
	reg := consul.NewRegistry(registry.Addrs(o.registry))
	c := client.NewClient(client.Registry(reg), client.Selector(selector.NewSelector(selector.Registry(reg))), client.Retries(0))
	rsp := newMessage(o.contentType, o.address != "", nil)
	req := client.NewRequest(service, method, newMessage(o.contentType, o.address != "", body), client.WithContentType(o.contentType))
	opts := []client.CallOption{client.WithRequestTimeout(o.timeout)}
	if o.address != "" {
		opts = append(opts, client.WithAddress(o.address))
	}
	if err := c.Call(context.Background(), req, rsp, opts...); err != nil {
		return err
	}
	_, err := os.Stdout.Write(bytesOf(rsp))
	return err
}
