// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"container/list"

	"github.com/errand-a2a/errand/internal/task"
)

// cache remembers the rows of tasks that were worked on lately, so that the
// next write to a task need not read it. Only the committer uses it. What it
// holds is what is committed; a batch that fails takes its rows out again. It
// never decides alone: each update is guarded by what the row was.
type cache struct {
	max  int
	rows map[task.Ref]*list.Element
	used *list.List // the most recently used first
}

func newCache(max int) *cache {
	return &cache{max: max, rows: map[task.Ref]*list.Element{}, used: list.New()}
}

func (c *cache) get(ref task.Ref) *row {
	e := c.rows[ref]
	if e == nil {
		return nil
	}
	c.used.MoveToFront(e)
	return e.Value.(*row)
}

func (c *cache) put(r *row) {
	c.drop(r.head.Ref)
	c.rows[r.head.Ref] = c.used.PushFront(r)
}

func (c *cache) drop(ref task.Ref) {
	if e := c.rows[ref]; e != nil {
		c.used.Remove(e)
		delete(c.rows, ref)
	}
}

// trim is called between batches, when no row is being worked on.
func (c *cache) trim() {
	for len(c.rows) > c.max {
		c.drop(c.used.Back().Value.(*row).head.Ref)
	}
}

func (c *cache) clear() {
	clear(c.rows)
	c.used.Init()
}
