// SPDX-License-Identifier: Apache-2.0

package interop

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// browseTimeout is longer than any page needs: a browser waits three seconds
// before each new connection of an EventSource, and the machine may be busy.
const browseTimeout = 90 * time.Second

// browse opens a page in a browser of its own and returns what the page's
// promise `ended` came to.
func browse[T any](t *testing.T, url string) T {
	t.Helper()
	logBrowser(t)
	// The first call on a context starts the browser and binds its life to
	// that context, so the time limit is on what follows.
	ctx, cancel := chromedp.NewExecAllocator(context.WithoutCancel(t.Context()), browserFlags(t)...)
	defer cancel()
	ctx, cancelPage := chromedp.NewContext(ctx)
	defer cancelPage()
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("start the browser: %v", err)
	}
	defer closeBrowser(t, ctx)

	limited, stop := context.WithTimeout(ctx, browseTimeout)
	defer stop()
	if err := chromedp.Do(limited, chromedp.Navigate(url)); err != nil {
		t.Fatalf("open %s: %v", url, err)
	}
	report, err := chromedp.Run(limited, chromedp.Evaluate[T](`ended`, chromedp.EvalAwaitPromise))
	takePicture(t, ctx)
	if err != nil {
		t.Fatalf("wait for %s: %v", url, err)
	}
	return report
}

// closeBrowser waits until the browser's processes have ended.
func closeBrowser(t *testing.T, ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if err := chromedp.Cancel(ctx); err != nil {
		t.Errorf("close the browser: %v", err)
	}
}

// takePicture keeps what the page looks like at its end, for whoever runs the
// tests with -artifacts.
func takePicture(t *testing.T, ctx context.Context) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	picture, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err != nil {
		t.Errorf("take a picture of the page: %v", err)
		return
	}
	if err := os.WriteFile(filepath.Join(t.ArtifactDir(), "page.png"), picture, 0o644); err != nil {
		t.Error(err)
	}
}

func browserFlags(t *testing.T) []chromedp.ExecAllocatorOption {
	t.Helper()
	return []chromedp.ExecAllocatorOption{
		chromedp.ExecPath(browserPath(t)),
		chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck,
		// Nothing but the page talks to the network.
		chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-sync", true),
		// The shared memory of a container is small.
		chromedp.Flag("disable-dev-shm-usage", true),
	}
}

func browserPath(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Fatal("this needs Chromium (interop/setup.sh installs it on Debian)")
	return ""
}

func logBrowser(t *testing.T) {
	t.Helper()
	out, err := exec.Command(browserPath(t), "--version").Output()
	if err != nil {
		t.Fatalf("ask the browser for its version: %v", err)
	}
	t.Log(strings.TrimSpace(string(out)))
}
