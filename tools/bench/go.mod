module github.com/microhq/monitor-srv/tools/bench

go 1.26
