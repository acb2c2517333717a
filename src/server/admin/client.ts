// A command's end of a running server's local socket.

import { realpath } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { StateroomError } from '../../lib/errors.js';
import { NotRunningError } from '../errors.js';
import { type AdminResponse, LineSplitter, socketPath } from './protocol.js';

/** Connects to the server that runs on a data folder. @throws SERVER_NOT_RUNNING */
export async function connectAdmin(dataFolder: string): Promise<AdminClient> {
  return new AdminClient(await connectSocket(await runningSocketPath(dataFolder)), dataFolder);
}

/** The path of a running server's socket. @throws SERVER_NOT_RUNNING where there can be none */
export async function runningSocketPath(dataFolder: string): Promise<string> {
  const real = await realpath(dataFolder).catch(() => undefined);
  const path = real === undefined ? undefined : socketPath(real);
  if (path === undefined) throw notRunning(dataFolder);
  return path;
}

async function connectSocket(path: string): Promise<Socket> {
  const socket = connect(path);
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('error', (cause) => reject(notRunning(path, cause)));
  });
  return socket;
}

function notRunning(place: string, cause?: unknown): StateroomError {
  return new NotRunningError(
    `no server answers on ${place}; \`stateroom serve\` starts one, --data names its folder`,
    { data: place },
    cause,
  );
}

export class AdminClient {
  readonly #socket: Socket;
  readonly #waiting = new Map<number, (response: AdminResponse | undefined) => void>();
  readonly #dataFolder: string;
  #lastId = 0;

  constructor(socket: Socket, dataFolder: string) {
    this.#socket = socket;
    this.#dataFolder = dataFolder;
    const lines = new LineSplitter();
    socket.on('data', (chunk) => {
      for (const line of lines.take(chunk) ?? []) this.#settle(JSON.parse(line) as AdminResponse);
    });
    socket.on('error', () => undefined);
    socket.once('close', () => {
      for (const settle of this.#waiting.values()) settle(undefined);
    });
  }

  /** Asks and waits for the answer. @throws what the server answers with; SERVER_NOT_RUNNING when it ended */
  async call<Result>(method: string, params: Readonly<Record<string, unknown>> = {}): Promise<Result> {
    const id = ++this.#lastId;
    const response = await new Promise<AdminResponse | undefined>((resolve) => {
      this.#waiting.set(id, resolve);
      if (this.#socket.destroyed) resolve(undefined);
      else this.#socket.write(`${JSON.stringify({ id, method, params })}\n`);
    });
    this.#waiting.delete(id);
    if (response === undefined) throw notRunning(this.#dataFolder);
    if ('error' in response) throw faultOf(response.error);
    return response.result as Result;
  }

  close(): void {
    this.#socket.destroy();
  }

  #settle(response: AdminResponse): void {
    this.#waiting.get(response.id)?.(response);
  }
}

/** An error that crossed the socket. */
export function faultOf({
  code,
  message,
  fields,
}: {
  code: string;
  message: string;
  fields: object;
}): StateroomError {
  return new StateroomError(code, message, fields as StateroomError['fields']);
}
