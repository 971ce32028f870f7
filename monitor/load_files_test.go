package monitor

import (
	"github.com/microhq/monitor-srv/config"
	"github.com/microhq/monitor-srv/document"
)

// loadFiles reads the definitions of files and directories.
func loadFiles(paths ...string) (Set, []*document.Problem) {
	var set Set
	problems := config.Load(&set, nil, paths...)
	return set, problems
}
