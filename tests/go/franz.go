package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// franz is franz-go.
type franz struct{ bootstrap []string }

func newFranz(bootstrap string) client {
	return franz{strings.Split(bootstrap, ",")}
}

func (it franz) client(more ...kgo.Opt) *kgo.Client {
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		dialled.add(address)
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}
	return must(kgo.NewClient(append(more, kgo.SeedBrokers(it.bootstrap...), kgo.Dialer(dial))...))
}

type franzProducer struct{ *kgo.Client }

func (it franz) producer(settings settings) producer {
	options := []kgo.Opt{kgo.RecordPartitioner(kgo.ManualPartitioner())}
	if settings["idempotent"] == "false" {
		options = append(options, kgo.DisableIdempotentWrite())
	}
	if settings["acks"] == "1" {
		options = append(options, kgo.RequiredAcks(kgo.LeaderAck()))
	}
	if id := settings["transactional.id"]; id != "" {
		options = append(options, kgo.TransactionalID(id))
	}
	if codec := settings["compression"]; codec != "" {
		options = append(options, kgo.ProducerBatchCompression(franzCodecs[codec]))
	}
	if settings["each"] == "true" {
		// The smallest that it takes: with records of half of that, each is a batch.
		options = append(options, kgo.ProducerLinger(0), kgo.ProducerBatchMaxBytes(1<<10))
	}
	return franzProducer{it.client(options...)}
}

var franzCodecs = map[string]kgo.CompressionCodec{
	"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
	"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
}

func (it franzProducer) begin() error { return it.BeginTransaction() }

func (it franzProducer) send(cases []testCase) []outcome {
	outcomes := make([]outcome, len(cases))
	for at, sent := range cases {
		record := kgo.Record{
			Topic: sent.Topic, Partition: sent.Partition, Key: fromHex(sent.Key), Value: fromHex(sent.Value),
		}
		for _, header := range sent.Headers {
			record.Headers = append(record.Headers, kgo.RecordHeader{Key: *header[0], Value: fromHex(header[1])})
		}
		it.Produce(context.Background(), &record, func(stored *kgo.Record, err error) {
			outcomes[at] = franzOutcome(stored, err)
		})
	}
	check(it.Flush(context.Background()))
	return outcomes
}

func (it franzProducer) end(commit bool) error {
	return it.EndTransaction(context.Background(), kgo.TransactionEndTry(commit))
}

func (it franzProducer) close() { it.Close() }

func franzOutcome(stored *kgo.Record, err error) outcome {
	if err == nil {
		return outcome{OK: true, Offset: &stored.Offset}
	}
	seen := outcome{Error: strings.TrimPrefix(fmt.Sprintf("%T", err), "*"), Message: err.Error()}
	var kafka *kerr.Error
	if errors.As(err, &kafka) {
		code := int(kafka.Code)
		seen.Code = &code
	}
	return seen
}
