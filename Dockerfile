# The service as one static file in an empty image. The builder can be replaced,
# for example by a mirror's: docker build --build-arg BUILDER=... .
# It needs Go, a shell and CA certificates.
ARG BUILDER=golang:1.26
FROM ${BUILDER} AS build
WORKDIR /src
COPY go.work go.work.sum go.mod go.sum ./
COPY health/go.mod health/go.sum health/
COPY proto/go.mod proto/go.sum proto/
RUN go mod download
COPY . .
ARG VERSION=unknown
RUN CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags "-s -w -X main.version=${VERSION}" -o /out/monitor-srv .

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/monitor-srv /monitor-srv
USER 65532:65532
# Health and REST. By default they are on 127.0.0.1 inside the container:
# give --http_address, or MONITOR_HTTP_ADDRESS, which the health check obeys too.
EXPOSE 3838
HEALTHCHECK --interval=10s --timeout=5s --start-period=5s --retries=3 CMD ["/monitor-srv", "health"]
ENTRYPOINT ["/monitor-srv"]
