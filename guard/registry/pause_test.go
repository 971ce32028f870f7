package registry

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestPauseTellsWhetherItWasCutShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		begin := time.Now()
		if !pause(ctx, 45*time.Second) || time.Since(begin) != 45*time.Second {
			t.Errorf("it was cut short after %v", time.Since(begin))
		}
		if pause(ctx, 45*time.Second) || time.Since(begin) != time.Minute {
			t.Errorf("it was not cut short, or after %v, want 1m", time.Since(begin))
		}
	})
}
