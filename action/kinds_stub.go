package action
func newExec(decode func(any) error, env Env) (Action, error) {return nil,nil}
func newHTTP(decode func(any) error, env Env) (Action, error) {return nil,nil}
func newMail(decode func(any) error, env Env) (Action, error) {return nil,nil}
func newNotify(decode func(any) error, env Env) (Action, error) {return nil,nil}
func newPublish(decode func(any) error, env Env) (Action, error) {return nil,nil}
