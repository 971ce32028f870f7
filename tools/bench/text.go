package main

const notes = `
Notes

- Target 1, floor: what the rest of the time buys is validation, the judgement, the order for pages, the clock of silence, and the history.
- Target 1, shuffled: the keys are visited in an order in which no line of memory is ever in a cache. Real publishers send all checks of a node together; that is the row above it.
- Target 5: "stock go-micro" is its transport and codec, which encode each answer anew; ours is our transport with the bytes of the answer at hand. The load writes the same request and skips the answer, so that it is the server that is measured. With go-micro's own client as the load the client's decoding of the answer takes most of both figures, on the same two cores.
- Target 10 (restart) is not in this table: it comes with the state directory.
`

const peersText = `
## Side by side

All programs probe one target over the loopback interface, one program after the other. CPU and memory are those of the process: *RSS-MB* is all that is resident, *heap-MB* the part of it without a file behind it, which is heap and stacks; the rest is pages of the program's own file. The rate, the most starts in any 100 ms (sliding, and against the mean) and the lateness are what the target saw. Lateness is how much later than its earliest phase a probe of a monitor came in. goma v1.0.3 and Gatus v5.36.0 run as they come, with their defaults; Gatus needs 222 s to start 1,000 endpoints and logs each probe, as is its default. blackbox_exporter (Debian's) probes when asked, here at the same rate; its CPU holds the scrapes, and its times are the driver's.

In the detection ours has failures_before_alert = 3 and retry_interval = 1, goma alerts at the first failure, Gatus at the third, which are their defaults.
`
