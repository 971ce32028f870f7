package main

const notes = `
Notes

- An absolute target was set on a quiet machine, and another machine may be several times slower. The figure of the same run beside it tells a slow machine from a slow program. Rows "against the floor" hold the ratio to the least that the work takes.
- Target 1, floor: what the rest of the time buys is validation, the judgement, the order for pages, the clock of silence, and the history.
- Target 1, shuffled: the keys are visited in an order in which no line of memory is ever in a cache. Real publishers send all checks of a node together; that is the row above it.
- Target 3, sorted slice: the walk takes a page from the middle of what has a status, by looking at half of a million entries. The floor knows the place of the page and copies it.
- Target 4, plain nats.go: a subscriber that decodes each event and drops it, for the same publisher, which takes most of the time.
- Target 5, server alone: the load writes the same request and skips the answer. "Stock go-micro" is its transport and codec, which encode each answer anew; ours is our transport with the bytes of the answer at hand. What our handler and store add to find and put together an answer is in the row below them, with a bare HTTP client.
- Target 5, with the stock client: go-micro's own client decodes each answer into 100 messages, on the same two cores, and that takes most of both figures. Nothing in a server can change it.
- Target 5, calls lost: the stock transport loses an answer now and then and the caller waits for it until its deadline of 5 s. That is part of its calls a second with 1 caller; its CPU time for each call, in the list at the end, is not touched by it.
- Target 6, memory: about half of it is pages of the program's own file, which the kernel drops when it needs them; the side by side tables tell them apart from the heap.
- Target 6, CPU against goma at 200/s: goma starts all its probes in the same few milliseconds of each interval, which shares the wake-ups and is cheap for that reason only; see "most in 100 ms".
`

const peersText = `
## Side by side

All programs probe one target over the loopback interface, one program after the other. CPU and memory are those of the process: *RSS-MB* is all that is resident, *heap-MB* the part of it without a file behind it, which is heap and stacks; the rest is pages of the program's own file. The rate, the most starts in any 100 ms (sliding, and against the mean) and the lateness are what the target saw. Lateness is how much later than its earliest phase a probe of a monitor came in. goma v1.0.3 and Gatus v5.36.0 run as they come, with their defaults; Gatus needs 222 s to start 1,000 endpoints and logs each probe, as is its default. blackbox_exporter (Debian's) probes when asked, here at the same rate; its CPU holds the scrapes, and its times are the driver's.

In the detection ours has failures_before_alert = 3 and retry_interval = 1, goma alerts at the first failure, Gatus at the third, which are their defaults.
`
