package command

import "testing"

func TestOnlyTheGuardianWordAloneMakesAGuardian(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args []string
		want bool
	}{
		{[]string{"monitor-srv", GuardianWord}, true},
		{[]string{"monitor-srv"}, false},
		{[]string{GuardianWord}, false},
		{[]string{"monitor-srv", "serve"}, false},
		{[]string{"monitor-srv", GuardianWord, "--help"}, false},
		{nil, false},
	} {
		if got := IsGuardian(c.args); got != c.want {
			t.Errorf("%q: got %v, want %v", c.args, got, c.want)
		}
	}
}
