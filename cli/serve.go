package cli

import (
	"context"
	"log/slog"
	"os"
	"strings"

	"github.com/microhq/monitor-srv/service"
)

// runServe runs an instance until ctx ends.
func runServe(ctx context.Context, inv *invocation) error {
	cfg, err := inv.instanceConfig()
	if err != nil {
		return err
	}
	service.LimitMemory(cfg.MaxEntries, os.Getenv)
	log, level := service.NewLog(cfg.Log, inv.Stderr)
	service.QuietLibraries(log)
	if unknown := unknownVariables(os.Environ()); len(unknown) > 0 {
		log.Warn("unknown environment variables are ignored", "names", strings.Join(unknown, " "))
	}
	instance, err := startInstance(ctx, cfg, log, level)
	if err != nil || instance == nil {
		return err
	}
	return instance.Run(ctx)
}

// startInstance makes an instance, or returns nil once ctx ends: a stop at the start
// waits for no disk, and is no failure. The process ends then, whatever it still reads.
func startInstance(ctx context.Context, cfg service.Config, log *slog.Logger, level *slog.LevelVar) (*service.Instance, error) {
	type started struct {
		instance *service.Instance
		err      error
	}
	done := make(chan started, 1)
	go func() {
		instance, err := service.New(ctx, cfg, log, level)
		done <- started{instance, err}
	}()
	select {
	case s := <-done:
		if s.err == nil || ctx.Err() == nil {
			return s.instance, s.err
		}
	case <-ctx.Done():
	}
	log.Info("stopped while starting")
	return nil, nil
}
