// Package ingest takes in the events that services publish.
//
// Events subscribes to the three topics of the bus, decodes, validates and
// repairs each message, and hands it to the store through a bounded queue. A bad
// message never affects another one, and every rejection, repair and drop is
// counted.
package ingest
