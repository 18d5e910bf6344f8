// SPDX-License-Identifier: Apache-2.0

package grpc_test

import (
	"slices"
	"testing"
	"time"

	gogrpc "google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"

	"github.com/errand-a2a/errand/internal/binding"
)

const (
	serving    = grpc_health_v1.HealthCheckResponse_SERVING
	notServing = grpc_health_v1.HealthCheckResponse_NOT_SERVING
)

func TestHealth(t *testing.T) {
	t.Parallel()
	for _, way := range ways {
		t.Run("it follows the node "+way, func(t *testing.T) {
			t.Parallel()
			w := serve(t)
			c := grpc_health_v1.NewHealthClient(w.dial(way))
			for _, service := range []string{"", "lf.a2a.v1.A2AService"} {
				got, err := c.Check(t.Context(), &grpc_health_v1.HealthCheckRequest{Service: service})
				if err != nil || got.GetStatus() != serving {
					t.Errorf("%q is %v, %v", service, got, err)
				}
			}
			if _, err := c.Check(t.Context(), &grpc_health_v1.HealthCheckRequest{Service: "none"}); saidBy(err).code != codes.NotFound {
				t.Errorf("an unknown service: %v", err)
			}
			list, err := c.List(t.Context(), &grpc_health_v1.HealthListRequest{})
			if err != nil || len(list.GetStatuses()) != 2 || list.GetStatuses()["lf.a2a.v1.A2AService"].GetStatus() != serving {
				t.Errorf("listed %v, %v", list, err)
			}
			watch, err := c.Watch(t.Context(), &grpc_health_v1.HealthCheckRequest{})
			if err != nil {
				t.Fatal(err)
			}
			if got, err := watch.Recv(); err != nil || got.GetStatus() != serving {
				t.Errorf("first %v, %v", got, err)
			}
			go w.stop()
			if got, err := watch.Recv(); err != nil || got.GetStatus() != notServing {
				t.Errorf("while it stops: %v, %v", got, err)
			}
			if _, err := watch.Recv(); saidBy(err).code != codes.Unavailable {
				t.Errorf("in the end: %v", err)
			}
		})
	}
}

// Tools find the services, and do not hold up a stop.
func TestReflection(t *testing.T) {
	t.Parallel()
	for _, way := range ways {
		t.Run("it is served "+way, func(t *testing.T) {
			t.Parallel()
			w := serve(t)
			s, err := reflectionv1.NewServerReflectionClient(w.dial(way)).ServerReflectionInfo(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			ask := func(q *reflectionv1.ServerReflectionRequest) *reflectionv1.ServerReflectionResponse {
				t.Helper()
				if err := s.Send(q); err != nil {
					t.Fatal(err)
				}
				a, err := s.Recv()
				if err != nil {
					t.Fatal(err)
				}
				return a
			}
			var names []string
			for _, svc := range ask(&reflectionv1.ServerReflectionRequest{MessageRequest: &reflectionv1.ServerReflectionRequest_ListServices{}}).GetListServicesResponse().GetService() {
				names = append(names, svc.GetName())
			}
			for _, want := range []string{"lf.a2a.v1.A2AService", "grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"} {
				if !slices.Contains(names, want) {
					t.Errorf("%s is not among %v", want, names)
				}
			}
			file := ask(&reflectionv1.ServerReflectionRequest{MessageRequest: &reflectionv1.ServerReflectionRequest_FileContainingSymbol{FileContainingSymbol: "lf.a2a.v1.A2AService"}})
			if len(file.GetFileDescriptorResponse().GetFileDescriptorProto()) == 0 {
				t.Errorf("no descriptor: %v", file)
			}
			// The older service has the same messages under another name.
			older, err := w.dial(way).NewStream(t.Context(), &gogrpc.StreamDesc{ServerStreams: true, ClientStreams: true}, "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo")
			if err != nil {
				t.Fatal(err)
			}
			if err := older.SendMsg(&reflectionv1.ServerReflectionRequest{MessageRequest: &reflectionv1.ServerReflectionRequest_ListServices{}}); err != nil {
				t.Fatal(err)
			}
			answer := &reflectionv1.ServerReflectionResponse{}
			if err := older.RecvMsg(answer); err != nil || len(answer.GetListServicesResponse().GetService()) < 4 {
				t.Errorf("v1alpha: %v, %v", answer, err)
			}
			began := time.Now()
			if w.stop(); time.Since(began) > 4*time.Second {
				t.Errorf("the stop took %v", time.Since(began))
			}
			if _, err := s.Recv(); err == nil {
				t.Error("the client was not sent away")
			}
		})
	}
}

// A server that stops is not ready, whatever the node behind it says.
func TestHealthOfAServerThatStops(t *testing.T) {
	t.Parallel()
	eachWay(t, &fake{}, binding.Options{}, func(t *testing.T, s *stage, way string) {
		watch, err := grpc_health_v1.NewHealthClient(s.dial(way)).Watch(t.Context(), &grpc_health_v1.HealthCheckRequest{Service: "lf.a2a.v1.A2AService"})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := watch.Recv(); err != nil || got.GetStatus() != serving {
			t.Errorf("first %v, %v", got, err)
		}
		go s.stop()
		if got, err := watch.Recv(); err != nil || got.GetStatus() != notServing {
			t.Errorf("while it stops: %v, %v", got, err)
		}
	})
}
