// Package embedded runs a NATS server with JetStream inside the process, for
// package natsqueue. It replaces a server of its own where one machine is
// enough.
//
//	server, err := embedded.Start("queue") // a folder
//	// ...
//	conn, err := server.Connect() // without a socket
//	// ...
//	js, err := jetstream.New(conn)
//	// ...
//	queue, err := natsqueue.New[Prompt](ctx, js)
//
// Stop in the order: scorer, queue, connection, server.
//
// # What is lost
//
// A killed process (kill -9, a crash) loses nothing that was accepted: the
// system has it, and writes it. A power cut or a crash of the system is
// another matter, for the server writes files through to the disk only now and
// then:
//
//   - by default every 2 minutes: all that was accepted since may be lost;
//   - [WithSyncInterval] of a second: about the last second;
//   - [WithSyncAlways]: nothing that was accepted, at a tenth of the speed.
//
// # Other processes
//
// By default there is no socket, and no other process can connect. [WithListen]
// opens one, for front-ends or scorers in processes of their own.
//
// # What goes wrong
//
// [Start] returns an error at once for a folder or port that is in use. It
// compares what is stored with a ledger beside it and returns [ErrCorrupt] if
// messages are missing; [WithAcceptLoss] starts with what is left. [WithLogger]
// logs what the server reports.
//
// When the disk is full, new samples are refused, and a verdict that the server
// has confirmed may be kept in memory alone: if the process is killed before
// there is space, the sample is handed out again. Nothing accepted is lost.
package embedded
