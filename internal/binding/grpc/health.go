// SPDX-License-Identifier: Apache-2.0

package grpc

import (
	"context"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

// health is the health service of gRPC. It says what /readyz says, and asks only
// when it is asked.
type health struct {
	grpc_health_v1.UnimplementedHealthServer
	ready func(context.Context) error
	drain context.Context
}

const (
	// askEvery is how often a watch asks.
	askEvery = time.Second
	// askPatience bounds one question.
	askPatience = 2 * time.Second
)

func (h *health) now(ctx context.Context, service string) grpc_health_v1.HealthCheckResponse_ServingStatus {
	if service != "" && service != serviceName {
		return grpc_health_v1.HealthCheckResponse_SERVICE_UNKNOWN
	}
	ctx, cancel := context.WithTimeout(ctx, askPatience)
	defer cancel()
	if h.drain.Err() != nil || h.ready(ctx) != nil {
		return grpc_health_v1.HealthCheckResponse_NOT_SERVING
	}
	return grpc_health_v1.HealthCheckResponse_SERVING
}

// Check implements grpc_health_v1.HealthServer.
func (h *health) Check(ctx context.Context, req *grpc_health_v1.HealthCheckRequest) (*grpc_health_v1.HealthCheckResponse, error) {
	now := h.now(ctx, req.GetService())
	if now == grpc_health_v1.HealthCheckResponse_SERVICE_UNKNOWN {
		return nil, status.Error(codes.NotFound, "unknown service")
	}
	return &grpc_health_v1.HealthCheckResponse{Status: now}, nil
}

// List implements grpc_health_v1.HealthServer.
func (h *health) List(ctx context.Context, _ *grpc_health_v1.HealthListRequest) (*grpc_health_v1.HealthListResponse, error) {
	now := &grpc_health_v1.HealthCheckResponse{Status: h.now(ctx, "")}
	return &grpc_health_v1.HealthListResponse{Statuses: map[string]*grpc_health_v1.HealthCheckResponse{"": now, serviceName: now}}, nil
}

// Watch implements grpc_health_v1.HealthServer. Its last word before the server
// stops is that it does.
func (h *health) Watch(req *grpc_health_v1.HealthCheckRequest, ss grpc_health_v1.Health_WatchServer) error {
	tick := time.NewTicker(askEvery)
	defer tick.Stop()
	said := grpc_health_v1.HealthCheckResponse_UNKNOWN
	for {
		if now := h.now(ss.Context(), req.GetService()); now != said {
			said = now
			if err := ss.Send(&grpc_health_v1.HealthCheckResponse{Status: now}); err != nil {
				return err
			}
		}
		select {
		case <-h.drain.Done():
			_ = ss.Send(&grpc_health_v1.HealthCheckResponse{Status: h.now(ss.Context(), req.GetService())})
			return status.Error(codes.Unavailable, "the server is stopping")
		case <-ss.Context().Done():
			return status.FromContextError(ss.Context().Err()).Err()
		case <-tick.C:
		}
	}
}
