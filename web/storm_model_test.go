package web

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/anishathalye/porcupine"
)

// asked and told are what one call of the storm was and answered, for one name.
type asked struct {
	op, name string
	id       int64
	address  int // which definition is registered
}

type told struct {
	status  int
	id      int64 // of a registration or a list
	running bool  // of show or list
}

// one is the state of the monitor of a name; no id means there is none.
type one struct {
	id       int64
	running  bool
	launched bool
	address  int
}

// model says which answers a monitor may give. A registration and a removal are
// two operations of the same call each, because a monitor is there before it
// runs, and stops before it is gone. A registration of what is there launches
// nothing, but does not tell that it was one.
func model() porcupine.Model {
	return porcupine.Model{
		Init: func() any { return one{} },
		Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
			byName := make(map[string][]porcupine.Operation)
			for _, o := range history {
				name := o.Input.(asked).name
				byName[name] = append(byName[name], o)
			}
			var all [][]porcupine.Operation
			for _, part := range byName {
				all = append(all, part)
			}
			return all
		},
		Step: func(state, input, output any) (bool, any) {
			return step(state.(one), input.(asked), output.(told))
		},
		DescribeOperation: func(input, output any) string { return fmt.Sprintf("%+v %+v", input, output) },
	}
}

func step(m one, in asked, out told) (bool, one) {
	mine := m.id != 0 && m.id == in.id
	switch in.op {
	case "register":
		switch {
		case out.status == http.StatusConflict:
			return m.id != 0 && m.address != in.address, m
		case out.status != 200 || out.id == 0:
			return false, m
		case m.id != 0:
			return m.id == out.id && m.address == in.address, m
		}
		return true, one{id: out.id, address: in.address}
	case "launch":
		if mine && !m.launched {
			m.running, m.launched = true, true
		}
		return mine, m
	case "listed":
		return out.id == m.id && out.running == m.running, m
	case "halt":
		if mine {
			m.running = false
		}
		return true, m
	}
	if out.status == http.StatusNotFound {
		return !mine, m
	}
	if out.status != 200 || !mine {
		return false, m
	}
	switch in.op {
	case "start", "stop":
		m.running = in.op == "start"
		return true, m
	case "delete":
		return true, one{}
	case "show":
		return out.running == m.running, m
	}
	return false, m
}

// Faults: T52.
func TestModelOfTheStormRefusesWrongAnswers(t *testing.T) {
	at := func(call, ret int64, in asked, out told) porcupine.Operation {
		return porcupine.Operation{Call: call, Return: ret, Input: in, Output: out}
	}
	right := []porcupine.Operation{at(0, 1, asked{op: "register"}, told{status: 200, id: 1}), at(0, 1, asked{op: "launch", id: 1}, told{}), at(2, 3, asked{op: "show", id: 1}, told{status: 200, running: true})}
	if !porcupine.CheckOperations(model(), right) {
		t.Error("the model refuses right answers")
	}
	for what, history := range map[string][]porcupine.Operation{
		"registered twice": {at(0, 1, asked{op: "register"}, told{status: 200, id: 1}), at(2, 3, asked{op: "register"}, told{status: 200, id: 2})},
		"same is another":  {at(0, 1, asked{op: "register"}, told{status: 200, id: 1}), at(2, 3, asked{op: "register"}, told{status: 409})},
		"another is same":  {at(0, 1, asked{op: "register"}, told{status: 200, id: 1}), at(2, 3, asked{op: "register", address: 1}, told{status: 200, id: 1})},
		"launched again": {at(0, 1, asked{op: "register"}, told{status: 200, id: 1}), at(0, 1, asked{op: "launch", id: 1}, told{}), at(2, 3, asked{op: "stop", id: 1}, told{status: 200}),
			at(4, 5, asked{op: "register"}, told{status: 200, id: 1}), at(4, 5, asked{op: "launch", id: 1}, told{}), at(6, 7, asked{op: "show", id: 1}, told{status: 200, running: true})},
		"ghost":       {at(0, 1, asked{op: "register"}, told{status: 200, id: 1}), at(2, 3, asked{op: "delete", id: 1}, told{status: 200}), at(4, 5, asked{op: "listed"}, told{id: 1, running: true})},
		"lost":        {at(0, 1, asked{op: "register"}, told{status: 200, id: 1}), at(2, 3, asked{op: "show", id: 1}, told{status: 404})},
		"not running": {at(0, 1, asked{op: "register"}, told{status: 200, id: 1}), at(0, 1, asked{op: "launch", id: 1}, told{}), at(2, 3, asked{op: "show", id: 1}, told{status: 200})},
		"not stopped": {at(0, 1, asked{op: "register"}, told{status: 200, id: 1}), at(2, 3, asked{op: "stop", id: 1}, told{status: 200}), at(4, 5, asked{op: "show", id: 1}, told{status: 200, running: true})},
	} {
		if porcupine.CheckOperations(model(), history) {
			t.Errorf("%s: the model takes it", what)
		}
	}
}
