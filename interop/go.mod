module github.com/errand-a2a/errand/interop

go 1.26.0

replace github.com/errand-a2a/errand => ../

require (
	github.com/chromedp/chromedp v0.22.1
	go.uber.org/goleak v1.3.0
)

require (
	github.com/chromedp/cdproto v0.159.0 // indirect
	github.com/go-json-experiment/json v0.0.0-20260213210345-44df1a37e875 // indirect
)
