package cli

import (
	"context"
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
	service.QuietFramework(log)
	if unknown := unknownVariables(os.Environ()); len(unknown) > 0 {
		log.Warn("unknown environment variables are ignored", "names", strings.Join(unknown, " "))
	}
	instance, err := service.New(ctx, cfg, log, level)
	if err != nil {
		return err
	}
	return instance.Run(ctx)
}
