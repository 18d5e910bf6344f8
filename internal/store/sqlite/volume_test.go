// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// volume is a directory on a disk whose power can be cut. It knows of every
// file what has reached the disk for certain, and what has been written since
// and may have reached it or not, wholly or in part and in any order.
type volume struct {
	dir string

	mu      sync.Mutex
	rand    *rand.Rand
	files   map[string]*inode  // the directory as programs see it
	entries map[string]*inode  // the directory as it stands on the disk
	moves   []move             // what was changed in it since
	steps   int                // what changed the disk, counted
	only    string             // what is counted: steps that this is a part of
	at      int                // the step in whose middle it ends; 0: none
	end     func(where string) // is told of it, while nothing moves
	over    bool               // it has ended: nothing is recorded any more
	failAt  int                // the first sync from this step on fails
	deaf    bool               // a sync is answered and does nothing
	failed  []string           // the files whose sync failed
}

// inode is the content of a file.
type inode struct {
	synced  []byte
	now     []byte
	pending []change // what makes synced now; after a failed sync, less than that
	failed  int      // syncs
}

// change is a write, or with data nil a truncation.
type change struct {
	off  int64
	data []byte
}

// move gives a name of the directory another inode; nil: it is gone.
type move struct {
	name string
	to   *inode
}

func (c change) apply(b []byte) []byte {
	if c.data == nil {
		return resized(b, c.off)
	}
	b = resized(b, max(int64(len(b)), c.off+int64(len(c.data))))
	copy(b[c.off:], c.data)
	return b
}

func resized(b []byte, size int64) []byte {
	if size <= int64(len(b)) {
		return b[:size]
	}
	return append(b, make([]byte, size-int64(len(b)))...)
}

// newVolume makes a volume in an empty directory whose disk holds these files.
func newVolume(dir string, files map[string][]byte, r *rand.Rand) (*volume, error) {
	v := &volume{dir: dir, rand: r, files: map[string]*inode{}, entries: map[string]*inode{}}
	for name, body := range files {
		v.files[name] = &inode{synced: slices.Clone(body), now: slices.Clone(body)}
		v.entries[name] = v.files[name]
	}
	return v, v.write()
}

// write makes the real files.
func (v *volume) write() error {
	for name, n := range v.files {
		if err := os.WriteFile(filepath.Join(v.dir, name), n.now, 0o600); err != nil {
			return fmt.Errorf("write an image: %w", err)
		}
	}
	return nil
}

// step counts what changes the disk. When its turn has come, the power ends
// with the change begun and not finished.
func (v *volume) step(what, name string) {
	where := what + " " + name + "."
	if v.over || !strings.Contains(where, v.only) {
		return
	}
	v.steps++
	if v.steps == v.at {
		v.finish(strings.TrimSuffix(where, "."))
	}
}

func (v *volume) finish(where string) {
	if !v.over {
		v.over = true
		if v.end != nil {
			v.end(where)
		}
	}
}

// stop ends the power now, if it has not ended.
func (v *volume) stop(where string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.finish(where)
}

// opened tells of a file that is there now, perhaps new.
func (v *volume) opened(name string) (n *inode, seen int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if n = v.files[name]; n != nil {
		return n, n.failed
	}
	n = &inode{}
	v.files[name] = n
	v.moves = append(v.moves, move{name, n})
	v.step("create", name)
	return n, 0
}

func (v *volume) deleted(name string, synced bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.files[name] == nil {
		return
	}
	delete(v.files, name)
	v.moves = append(v.moves, move{name, nil})
	v.step("delete", name)
	if synced {
		v.syncDir()
	}
}

func (v *volume) changed(name string, n *inode, c change) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.over {
		return
	}
	n.now = c.apply(n.now)
	n.pending = append(n.pending, c)
	what := "write"
	if c.data == nil {
		what = "truncate"
	}
	v.step(what, name)
}

// sync brings a file to the disk, and its directory too if dir. It reports
// whether it could. It behaves as Linux does: what it could not bring is taken
// for clean, so that the next sync does not bring it either, and each that had
// the file open is told once. seen is what the asking one was told of.
func (v *volume) sync(name string, n *inode, dir bool, seen *int) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.step("sync", name)
	if v.over || v.deaf {
		return true
	}
	if v.failAt > 0 && v.steps >= v.failAt {
		v.failAt = 0
		v.failed = append(v.failed, name)
		n.failed++
		n.synced, n.pending = v.draw(n), nil
	}
	for _, c := range n.pending {
		n.synced = c.apply(n.synced)
	}
	n.pending = nil
	if dir {
		v.syncDir()
	}
	told := *seen == n.failed
	*seen = n.failed
	return told
}

// failures are the files whose sync has failed.
func (v *volume) failures() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Clone(v.failed)
}

func (v *volume) syncDir() {
	if v.over || v.deaf {
		return
	}
	v.entries = maps.Clone(v.files)
	v.moves = nil
}

// survivors are the files that stand on the disk when the power comes back.
func (v *volume) survivors() map[string][]byte {
	entries := maps.Clone(v.entries)
	// Of each name, one of the inodes that it has had.
	stopped := map[string]bool{}
	for _, m := range v.moves {
		if stopped[m.name] = stopped[m.name] || v.rand.IntN(2) == 0; !stopped[m.name] {
			entries[m.name] = m.to
		}
	}
	out := map[string][]byte{}
	for _, name := range slices.Sorted(maps.Keys(entries)) {
		if n := entries[name]; n != nil {
			out[name] = v.draw(n)
		}
	}
	return out
}

// draw is what may be found of a file: all that was synced, and of the rest
// nothing, everything, or what a disk may make of it.
func (v *volume) draw(n *inode) []byte {
	out := slices.Clone(n.synced)
	switch kind := v.rand.IntN(6); kind {
	case 0: // nothing
	case 1:
		for _, c := range n.pending {
			out = c.apply(out)
		}
	case 2, 3: // each sector as it was at some moment
		return v.sectors(n, []int64{512, pageSize}[kind-2])
	case 4: // a beginning, and a part of what came next
		for _, c := range n.pending[:v.rand.IntN(len(n.pending)+1)] {
			out = c.apply(out)
		}
		if len(n.pending) > 0 {
			out = v.torn(n.pending[v.rand.IntN(len(n.pending))]).apply(out)
		}
	default: // any of the writes
		for _, c := range n.pending {
			if v.rand.IntN(2) == 0 {
				out = c.apply(out)
			}
		}
	}
	return out
}

// torn is a write that ended in its middle.
func (v *volume) torn(c change) change {
	if len(c.data) > 0 {
		c.data = c.data[:v.rand.IntN(len(c.data)+1)]
	}
	return c
}

// sectors lets each sector stop at a moment of its own, and so the length.
func (v *volume) sectors(n *inode, sector int64) []byte {
	out := slices.Clone(n.synced)
	size := int64(len(out))
	moments := map[int64]bool{}
	stopped := func(at int64) bool {
		if !moments[at] {
			moments[at] = v.rand.IntN(3) == 0
		}
		return moments[at]
	}
	const ofSize = -1
	for _, c := range n.pending {
		if c.data == nil {
			if !stopped(ofSize) {
				size = c.off
			}
			continue
		}
		for from := c.off; from < c.off+int64(len(c.data)); {
			to := min((from/sector+1)*sector, c.off+int64(len(c.data)))
			if !stopped(from / sector) {
				out = change{from, c.data[from-c.off : to-c.off]}.apply(out)
			}
			from = to
		}
		if !stopped(ofSize) {
			size = max(size, c.off+int64(len(c.data)))
		}
	}
	return resized(out, size)
}

// killed is the volume as the next process finds it when this one is killed
// and the power stays: everything that was written is there, and as much of it
// is in doubt as before.
func (v *volume) killed(dir string) (*volume, error) {
	copies := map[*inode]*inode{nil: nil}
	twin := func(n *inode) *inode {
		if copies[n] == nil && n != nil {
			copies[n] = &inode{synced: slices.Clone(n.synced), now: slices.Clone(n.now), pending: slices.Clone(n.pending)}
		}
		return copies[n]
	}
	next := &volume{dir: dir, rand: v.rand, files: map[string]*inode{}, entries: map[string]*inode{}}
	for name, n := range v.files {
		next.files[name] = twin(n)
	}
	for name, n := range v.entries {
		next.entries[name] = twin(n)
	}
	for _, m := range v.moves {
		next.moves = append(next.moves, move{m.name, twin(m.to)})
	}
	return next, next.write()
}
