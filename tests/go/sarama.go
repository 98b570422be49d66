package main

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/IBM/sarama"
)

// saramaClient is sarama.
type saramaClient struct {
	bootstrap []string
	version   sarama.KafkaVersion
}

func newSarama(bootstrap string) client {
	return saramaClient{strings.Split(bootstrap, ","), sarama.DefaultVersion}
}

func newSaramaLatest(bootstrap string) client {
	return saramaClient{strings.Split(bootstrap, ","), sarama.MaxVersion}
}

// saramaDialler remembers what it dials.
type saramaDialler struct{}

func (saramaDialler) Dial(network, address string) (net.Conn, error) {
	dialled.add(address)
	return net.Dial(network, address)
}

func (it saramaClient) config() *sarama.Config {
	config := sarama.NewConfig()
	config.Net.Proxy.Enable, config.Net.Proxy.Dialer = true, saramaDialler{}
	config.Version = it.version
	return config
}

type saramaProducer struct{ sarama.AsyncProducer }

func (it saramaClient) producer(settings settings) producer {
	config := it.config()
	config.Producer.Partitioner = sarama.NewManualPartitioner
	config.Producer.Return.Successes = true
	config.Producer.RequiredAcks = sarama.WaitForAll
	if settings["acks"] == "1" {
		config.Producer.RequiredAcks = sarama.WaitForLocal
	}
	id := settings["transactional.id"]
	if settings["idempotent"] == "true" || id != "" {
		// It demands both.
		config.Producer.Idempotent, config.Net.MaxOpenRequests = true, 1
		config.Producer.Transaction.ID = id
	}
	if codec := settings["compression"]; codec != "" {
		check(config.Producer.Compression.UnmarshalText([]byte(codec)))
	}
	if settings["each"] == "true" {
		config.Producer.Flush.MaxMessages = 1
	} else {
		// Long enough for all records of a group to meet.
		config.Producer.Flush.Frequency = 500 * time.Millisecond
	}
	return saramaProducer{must(sarama.NewAsyncProducer(it.bootstrap, config))}
}

func (it saramaProducer) begin() error { return it.BeginTxn() }

func (it saramaProducer) send(cases []testCase) []outcome {
	go func() {
		for at, sent := range cases {
			it.Input() <- saramaMessage(sent, at)
		}
	}()
	outcomes := make([]outcome, len(cases))
	for range cases {
		select {
		case stored := <-it.Successes():
			outcomes[stored.Metadata.(int)] = outcome{OK: true, Offset: &stored.Offset}
		case failed := <-it.Errors():
			outcomes[failed.Msg.Metadata.(int)] = saramaOutcome(failed.Err)
		}
	}
	return outcomes
}

func saramaMessage(sent testCase, at int) *sarama.ProducerMessage {
	message := &sarama.ProducerMessage{Topic: sent.Topic, Partition: sent.Partition, Metadata: at}
	if sent.Key != nil {
		message.Key = sarama.ByteEncoder(fromHex(sent.Key))
	}
	if sent.Value != nil {
		message.Value = sarama.ByteEncoder(fromHex(sent.Value))
	}
	for _, header := range sent.Headers {
		message.Headers = append(message.Headers,
			sarama.RecordHeader{Key: []byte(*header[0]), Value: fromHex(header[1])})
	}
	return message
}

func saramaOutcome(err error) outcome {
	seen := outcome{Error: fmt.Sprintf("%T", err), Message: err.Error()}
	var kafka sarama.KError
	if errors.As(err, &kafka) {
		code := int(kafka)
		seen.Code = &code
	}
	return seen
}

func (it saramaProducer) end(commit bool) error {
	if commit {
		return it.CommitTxn()
	}
	return it.AbortTxn()
}

func (it saramaProducer) close() { check(it.Close()) }
