package store

// table is a map that releases memory when it has become much smaller, which Go's maps
// do not.
type table[V any] struct {
	m    map[string]V
	peak int // most entries since m was made
}

// maxRebuild bounds how long one delete can take.
const maxRebuild = 4096

func (t *table[V]) get(name []byte) V { return t.m[string(name)] }

func (t *table[V]) set(name string, v V) {
	if t.m == nil {
		t.m = make(map[string]V)
	}
	t.m[name] = v
	t.peak = max(t.peak, len(t.m))
}

func (t *table[V]) delete(name string) {
	delete(t.m, name)
	if n := len(t.m); n > maxRebuild || t.peak < 4*n+16 {
		return
	}
	old := t.m
	t.m, t.peak = make(map[string]V, len(old)), len(old)
	for name, v := range old {
		t.m[name] = v
	}
}

// texts holds each text once for all entries that use it.
type texts struct {
	table table[*text]
	last  uint64 // last number
}

// use returns the text for value. The caller releases it.
func (t *texts) use(value []byte) *text {
	x := t.table.get(value)
	if x == nil {
		t.last++
		x = &text{value: string(value), number: t.last}
		t.table.set(x.value, x)
	}
	x.uses++
	return x
}

func (t *texts) release(x *text) {
	if x == nil {
		return
	}
	if x.uses--; x.uses == 0 {
		t.table.delete(x.value)
	}
}
