// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"unsafe"

	"modernc.org/libc"
	lib "modernc.org/sqlite/lib"
)

// recorder is a VFS of SQLite over the system's own. It tells volumes what is
// done to their files and lets everything else through untouched. SQLite calls
// it by addresses, so what belongs to a call is found in tables.
type recorder struct {
	register sync.Once
	real     uintptr // the VFS of the system
	io       uintptr // the methods of our files

	mu      sync.Mutex
	volumes map[string]*volume // by directory
	open    map[uintptr]*recorded
	next    uintptr
}

// recorded is an open file of a volume.
type recorded struct {
	v     *volume
	name  string
	inode *inode
	dir   bool // its first sync brings the directory to the disk too
	seen  int  // failed syncs that whoever has it open was told of
}

// file is what SQLite keeps room for: ours, with the system's behind it.
type file struct {
	methods uintptr
	handle  uintptr
}

const fileSize = unsafe.Sizeof(file{})

func theirs(f uintptr) uintptr { return f + fileSize }

func methodsOf(f uintptr) *lib.Tsqlite3_io_methods {
	return (*lib.Tsqlite3_io_methods)(pointer((*file)(pointer(theirs(f))).methods))
}

// recording is the one recorder of the process: SQLite knows a VFS once and for
// all connections, and gives its functions nothing to find their state by.
var recording = &recorder{volumes: map[string]*volume{}, open: map[uintptr]*recorded{}}

// start makes the recorder the VFS of everything that is opened from now on.
func (r *recorder) start() {
	tls := libc.NewTLS()
	defer tls.Close()
	r.real = lib.Xsqlite3_vfs_find(tls, 0)
	r.io = libc.Xcalloc(tls, 1, libc.Tsize_t(unsafe.Sizeof(lib.Tsqlite3_io_methods{})))
	ours := libc.Xcalloc(tls, 1, libc.Tsize_t(unsafe.Sizeof(lib.Tsqlite3_vfs{})))
	name, err := libc.CString("recorder")
	if err != nil || r.real == 0 || r.io == 0 || ours == 0 {
		panic(fmt.Sprintf("make a VFS: %v", err))
	}
	*(*lib.Tsqlite3_io_methods)(pointer(r.io)) = fileMethods()
	vfs := (*lib.Tsqlite3_vfs)(pointer(ours))
	*vfs = *(*lib.Tsqlite3_vfs)(pointer(r.real)) // what it does not change it leaves to the system's
	vfs.FszOsFile += int32(fileSize)
	vfs.FpNext, vfs.FzName = 0, name
	vfs.FxOpen, vfs.FxDelete = address(vfsOpen), address(vfsDelete)
	if rc := lib.Xsqlite3_vfs_register(tls, ours, 1); rc != lib.SQLITE_OK {
		panic(fmt.Sprintf("register a VFS: %d", rc))
	}
}

// address is how the translated C code holds a function, and call the way back.
func address[F any](f F) uintptr { return *(*uintptr)(unsafe.Pointer(&f)) }

func call[F any](address uintptr) F { return *(*F)(unsafe.Pointer(&address)) }

// mount records from now on what is done in a volume's directory.
func (r *recorder) mount(v *volume) {
	r.register.Do(r.start)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.volumes[v.dir] = v
}

func (r *recorder) unmount(v *volume) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.volumes, v.dir)
}

// find is the volume and the name in it of a path; nil: it is in none.
func (r *recorder) find(path uintptr) (*volume, string) {
	if path == 0 {
		return nil, ""
	}
	dir, name := filepath.Split(libc.GoString(path))
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.volumes[strings.TrimSuffix(dir, string(filepath.Separator))], name
}

func (r *recorder) of(f uintptr) *recorded {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.open[(*file)(pointer(f)).handle]
}

func vfsOpen(tls *libc.TLS, _, path, f uintptr, flags int32, out uintptr) int32 {
	r := recording
	open := call[func(*libc.TLS, uintptr, uintptr, uintptr, int32, uintptr) int32]((*lib.Tsqlite3_vfs)(pointer(r.real)).FxOpen)
	v, name := r.find(path)
	if v == nil {
		return open(tls, r.real, path, f, flags, out)
	}
	*(*file)(pointer(f)) = file{}
	if rc := open(tls, r.real, path, theirs(f), flags, out); rc != lib.SQLITE_OK {
		return rc
	}
	o := &recorded{v: v, name: name}
	o.inode, o.seen = v.opened(name)
	// The system's VFS does so for files that it may have made.
	o.dir = flags&lib.SQLITE_OPEN_CREATE != 0 && flags&(lib.SQLITE_OPEN_MAIN_JOURNAL|lib.SQLITE_OPEN_WAL|lib.SQLITE_OPEN_SUPER_JOURNAL) != 0
	r.mu.Lock()
	defer r.mu.Unlock()
	r.next++
	r.open[r.next] = o
	*(*file)(pointer(f)) = file{r.io, r.next}
	return lib.SQLITE_OK
}

func vfsDelete(tls *libc.TLS, _, path uintptr, dir int32) int32 {
	r := recording
	if v, name := r.find(path); v != nil {
		v.deleted(name, dir != 0)
	}
	return call[func(*libc.TLS, uintptr, uintptr, int32) int32]((*lib.Tsqlite3_vfs)(pointer(r.real)).FxDelete)(tls, r.real, path, dir)
}

type (
	plain func(*libc.TLS, uintptr) int32
	level func(*libc.TLS, uintptr, int32) int32
	size  func(*libc.TLS, uintptr, int64) int32
	out   func(*libc.TLS, uintptr, uintptr) int32
	piece func(*libc.TLS, uintptr, uintptr, int32, int64) int32
	ask   func(*libc.TLS, uintptr, int32, uintptr) int32
	lock  func(*libc.TLS, uintptr, int32, int32, int32) int32
	share func(*libc.TLS, uintptr, int32, int32, int32, uintptr) int32
	fence func(*libc.TLS, uintptr)
)

// fileMethods are those of version 2: with shared memory, without mapped files.
func fileMethods() lib.Tsqlite3_io_methods {
	return lib.Tsqlite3_io_methods{
		FiVersion:  2,
		FxClose:    address(plain(fileClose)),
		FxWrite:    address(piece(fileWrite)),
		FxTruncate: address(size(fileTruncate)),
		FxSync:     address(level(fileSync)),
		FxRead: address(piece(func(tls *libc.TLS, f, buf uintptr, n int32, off int64) int32 {
			return call[piece](methodsOf(f).FxRead)(tls, theirs(f), buf, n, off)
		})),
		FxFileSize: address(out(func(tls *libc.TLS, f, to uintptr) int32 {
			return call[out](methodsOf(f).FxFileSize)(tls, theirs(f), to)
		})),
		FxLock: address(level(func(tls *libc.TLS, f uintptr, to int32) int32 {
			return call[level](methodsOf(f).FxLock)(tls, theirs(f), to)
		})),
		FxUnlock: address(level(func(tls *libc.TLS, f uintptr, to int32) int32 {
			return call[level](methodsOf(f).FxUnlock)(tls, theirs(f), to)
		})),
		FxCheckReservedLock: address(out(func(tls *libc.TLS, f, to uintptr) int32 {
			return call[out](methodsOf(f).FxCheckReservedLock)(tls, theirs(f), to)
		})),
		FxFileControl: address(ask(func(tls *libc.TLS, f uintptr, op int32, arg uintptr) int32 {
			return call[ask](methodsOf(f).FxFileControl)(tls, theirs(f), op, arg)
		})),
		FxSectorSize: address(plain(func(tls *libc.TLS, f uintptr) int32 {
			return call[plain](methodsOf(f).FxSectorSize)(tls, theirs(f))
		})),
		FxDeviceCharacteristics: address(plain(func(tls *libc.TLS, f uintptr) int32 {
			return call[plain](methodsOf(f).FxDeviceCharacteristics)(tls, theirs(f))
		})),
		FxShmMap: address(share(func(tls *libc.TLS, f uintptr, region, n, extend int32, to uintptr) int32 {
			return call[share](methodsOf(f).FxShmMap)(tls, theirs(f), region, n, extend, to)
		})),
		FxShmLock: address(lock(func(tls *libc.TLS, f uintptr, off, n, flags int32) int32 {
			return call[lock](methodsOf(f).FxShmLock)(tls, theirs(f), off, n, flags)
		})),
		FxShmBarrier: address(fence(func(tls *libc.TLS, f uintptr) {
			call[fence](methodsOf(f).FxShmBarrier)(tls, theirs(f))
		})),
		FxShmUnmap: address(level(func(tls *libc.TLS, f uintptr, remove int32) int32 {
			return call[level](methodsOf(f).FxShmUnmap)(tls, theirs(f), remove)
		})),
	}
}

func fileClose(tls *libc.TLS, f uintptr) int32 {
	r := recording
	rc := call[plain](methodsOf(f).FxClose)(tls, theirs(f))
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.open, (*file)(pointer(f)).handle)
	return rc
}

func fileWrite(tls *libc.TLS, f, buf uintptr, n int32, off int64) int32 {
	o := recording.of(f)
	o.v.changed(o.name, o.inode, change{off, slices.Clone(bytesAt(buf, int(n)))})
	return call[piece](methodsOf(f).FxWrite)(tls, theirs(f), buf, n, off)
}

func fileTruncate(tls *libc.TLS, f uintptr, to int64) int32 {
	o := recording.of(f)
	o.v.changed(o.name, o.inode, change{off: to})
	return call[size](methodsOf(f).FxTruncate)(tls, theirs(f), to)
}

// fileSync asks nothing of the system: the disk of these files is the volume.
func fileSync(_ *libc.TLS, f uintptr, _ int32) int32 {
	o := recording.of(f)
	dir := o.dir
	o.dir = false
	if !o.v.sync(o.name, o.inode, dir, &o.seen) {
		return lib.SQLITE_IOERR_FSYNC
	}
	return lib.SQLITE_OK
}
