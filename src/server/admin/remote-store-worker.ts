// The thread that has the socket to a server: lines in from the asking thread, lines back to it.

import { connect } from 'node:net';
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { LineSplitter } from './protocol.js';

const { path, answered, port } = workerData as { path: string; answered: Int32Array; port: MessagePort };

const lines = new LineSplitter();
const socket = connect(path);

/** Hands an answer to the thread that sleeps for it; an empty one says that there will be none. */
function hand(answer: string): void {
  port.postMessage(answer, []);
  Atomics.store(answered, 0, 1);
  Atomics.notify(answered, 0);
}

let isAsked = false;
let hasEnded = false;

function end(message: string): void {
  if (hasEnded) return;
  hasEnded = true;
  parentPort?.postMessage(`no server answers on ${path}: ${message}`, []);
  if (isAsked) hand('');
}

socket.once('connect', () => parentPort?.postMessage('', []));
socket.on('error', (error) => end(error.message));
socket.once('close', () => end('it closed the connection'));
socket.on('data', (chunk) => {
  for (const line of lines.take(chunk) ?? []) {
    isAsked = false;
    hand(line);
  }
});
port.on('message', (line: string) => {
  isAsked = true;
  if (hasEnded) hand('');
  else socket.write(line);
});
