module github.com/microhq/monitor-srv/tools/faults

go 1.26
