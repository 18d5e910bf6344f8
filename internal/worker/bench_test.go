// SPDX-License-Identifier: Apache-2.0

package worker_test

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/errand-a2a/errand/internal/node/nodetest"
)

// talk has an agent that parks every turn; it says as much in each.
func talk(tb nodetest.TB) (*nodetest.World, func(turns int)) {
	w := nodetest.New(tb, nodetest.Options{Quiet: true, Worker: nodetest.RealTime, Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
		c.Artifact("answer", "the answer to "+c.Text())
		c.Ask("what else?")
		return nil
	}}})
	none := 0
	return w, func(turns int) {
		var id a2a.TaskID
		for i := range turns {
			r := nodetest.Say(fmt.Sprintf("question %06d", i), nodetest.To(id))
			r.Config = &a2a.SendMessageConfig{HistoryLength: &none} // the history is the caller's to ask for
			id = w.MustSend(r).ID
		}
	}
}

// chunker has an agent that streams one artifact in as many chunks as it is told.
func chunker(tb nodetest.TB) (*nodetest.World, func(chunks int)) {
	w := nodetest.New(tb, nodetest.Options{Quiet: true, Worker: nodetest.RealTime, Agent: nodetest.Agent{Execute: func(c *nodetest.Turn) error {
		var n int
		if _, err := fmt.Sscan(c.Text(), &n); err != nil {
			return err
		}
		c.Artifact("a", "begin")
		for i := range n {
			c.Append("a", fmt.Sprintf("chunk %06d of a long artifact", i))
		}
		c.Complete()
		return nil
	}}})
	return w, func(chunks int) {
		f, err := w.Engine.Stream(w.Context(), w.Call(), nodetest.Say(fmt.Sprint(chunks)))
		if err != nil {
			w.Fatalf("%v", err)
		}
		defer f.Close()
		for {
			if _, err := f.Next(w.Context(), 0); err != nil {
				return
			}
		}
	}
}

// perUnit is how many bytes are allocated for each of n units, rounds times.
func perUnit(do func(n int), n, rounds int) float64 {
	do(n) // what is made once
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for range rounds {
		do(n)
	}
	runtime.ReadMemStats(&after)
	return float64(after.TotalAlloc-before.TotalAlloc) / float64(n*rounds)
}

// Not parallel: what is allocated is counted for the whole process.
func TestCostIsLinear(t *testing.T) {
	for _, tt := range []struct {
		unit         string
		setup        func(nodetest.TB) (*nodetest.World, func(int))
		small, large int
	}{
		{"turn", talk, 50, 400},
		{"chunk", chunker, 200, 1600},
	} {
		t.Run("one more "+tt.unit+" of a long task costs what the first did", func(t *testing.T) {
			w, do := tt.setup(t)
			defer w.Stop()
			small := perUnit(do, tt.small, 8)
			large := perUnit(do, tt.large, 1)
			t.Logf("%.0f bytes per %s at %d, %.0f at %d: %.2f times", small, tt.unit, tt.small, large, tt.large, large/small)
			if large > 1.5*small {
				t.Errorf("%.2f times as much", large/small)
			}
		})
	}
}

func benchmark(b *testing.B, setup func(nodetest.TB) (*nodetest.World, func(int)), sizes ...int) {
	for _, n := range sizes {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			w, do := setup(b)
			defer w.Stop()
			b.ReportAllocs()
			for b.Loop() {
				do(n)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/unit")
		})
	}
}

func BenchmarkTurns(b *testing.B)  { benchmark(b, talk, 50, 400) }
func BenchmarkChunks(b *testing.B) { benchmark(b, chunker, 200, 1600) }
