package natsqueue

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go/jetstream"
)

// erase deletes a dead letter and overwrites it on the disk. It returns false
// when it was not there. (The client's own call panics when the server says no
// without a reason.)
func (q *Queue[S]) erase(ctx context.Context, number uint64) (erased bool, err error) {
	request, err := json.Marshal(struct {
		Seq uint64 `json:"seq"`
	}{number})
	if err != nil {
		return false, err
	}
	msg, err := q.conn.RequestWithContext(ctx, q.prefix+"STREAM.MSG.DELETE."+deadStream(q.cfg.name), request)
	if err != nil {
		return false, err
	}
	var answer struct {
		Success bool                `json:"success"`
		Error   *jetstream.APIError `json:"error"`
	}
	if err := json.Unmarshal(msg.Data, &answer); err != nil {
		return false, fmt.Errorf("answer of the server: %w", err)
	}
	if answer.Error != nil && !strings.Contains(answer.Error.Description, "not found") &&
		!strings.Contains(answer.Error.Description, "no message found") {
		return false, answer.Error
	}
	return answer.Success, nil
}
