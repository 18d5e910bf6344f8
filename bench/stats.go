// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"slices"
	"time"
)

// summarize puts the latencies of all connections together.
func summarize(latencies [][]time.Duration, span time.Duration) (result, error) {
	all := slices.Concat(latencies...)
	if len(all) == 0 || span <= 0 {
		return result{}, errors.New("no task ended within the duration: give a longer one")
	}
	slices.Sort(all)
	return result{
		rate: float64(len(all)) / span.Seconds(),
		p50:  all[(len(all)-1)*50/100],
		p99:  all[(len(all)-1)*99/100],
	}, nil
}

// spread is a median with the least and the most beside it.
type spread struct{ median, least, most float64 }

func spreadOf(values []float64) spread {
	s := slices.Sorted(slices.Values(values))
	if len(s) == 0 {
		return spread{}
	}
	median := s[len(s)/2]
	if len(s)%2 == 0 {
		median = (s[len(s)/2-1] + s[len(s)/2]) / 2
	}
	return spread{median: median, least: s[0], most: s[len(s)-1]}
}

// spreadBy is the spread of one figure of many results.
func spreadBy[T any](of []T, figure func(T) float64) spread {
	values := make([]float64, len(of))
	for i, v := range of {
		values[i] = figure(v)
	}
	return spreadOf(values)
}
