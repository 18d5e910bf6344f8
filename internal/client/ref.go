// SPDX-License-Identifier: Apache-2.0

package client

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// location is where a card is: one of the two is set.
type location struct{ url, path string }

// parseRef tells the forms of an agent card reference apart. A reference
// without a scheme is a path if it looks like one or such a file exists,
// otherwise a host; of hosts only loopback ones are spoken to without TLS.
func parseRef(ref string) (location, error) {
	if ref == "" {
		return location{}, errors.New("the reference is empty")
	}
	if scheme, rest, ok := strings.Cut(ref, "://"); ok {
		switch strings.ToLower(scheme) {
		case "file":
			return fileURL(ref, rest)
		case "http", "https":
			return cardURL(ref)
		}
		return location{}, fmt.Errorf("scheme %q is none of http, https and file", scheme)
	}
	if looksLikePath(ref) {
		return location{path: ref}, nil
	}
	u, err := url.Parse("https://" + ref)
	if err != nil || u.Host == "" {
		return location{}, errors.New("it is no host, URL or file")
	}
	if isLoopback(u.Hostname()) {
		u.Scheme = "http"
	}
	return cardURL(u.String())
}

func cardURL(ref string) (location, error) {
	u, err := url.Parse(ref)
	if err != nil {
		return location{}, fmt.Errorf("parse the URL: %w", err)
	}
	if u.Host == "" {
		return location{}, errors.New("the URL names no host")
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = WellKnownPath
	}
	return location{url: u.String()}, nil
}

func fileURL(ref, rest string) (location, error) {
	u, err := url.Parse(ref)
	if err != nil || u.Host != "" && u.Host != "localhost" {
		// file://card.json is not a correct URL, but its meaning is clear.
		return location{path: rest}, nil
	}
	if u.Path == "" {
		return location{}, errors.New("the file URL names no path")
	}
	return location{path: filepath.FromSlash(u.Path)}, nil
}

func looksLikePath(ref string) bool {
	if filepath.IsAbs(ref) || strings.HasPrefix(ref, "/") || strings.HasPrefix(ref, "./") || strings.HasPrefix(ref, "../") {
		return true
	}
	if info, err := os.Stat(ref); err == nil && info.Mode().IsRegular() {
		return true
	}
	host, _, nested := strings.Cut(ref, "/")
	isHost := strings.ContainsAny(host, ".:") || host == "localhost"
	return strings.HasSuffix(ref, ".json") && (!nested || !isHost)
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || ip != nil && ip.IsLoopback()
}
