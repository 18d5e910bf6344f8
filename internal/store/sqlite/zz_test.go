// SPDX-License-Identifier: Apache-2.0

package sqlite_test

import (
	"os"
	"strconv"
)

func benchCheckpoint() int64 { n, _ := strconv.Atoi(os.Getenv("CKPT")); return int64(n) }
