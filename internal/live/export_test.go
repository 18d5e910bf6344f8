// SPDX-License-Identifier: Apache-2.0

package live

// Topics counts the tasks that the hub holds memory for.
func (h *Hub) Topics() int {
	n := 0
	for i := range h.shards {
		s := &h.shards[i]
		s.mu.Lock()
		n += len(s.topics)
		s.mu.Unlock()
	}
	return n
}
