// `stateroom serve`: runs the homeserver until it is told to end.

import { existsSync } from 'node:fs';
import { type Command, InvalidArgumentError } from 'commander';
import type { RunningHomeserver } from '../../server/start.js';
import { examples } from '../context.js';
import { EXIT } from '../errors.js';
import { tidyWhenIdle } from '../idle-heap.js';
import { messageColors, note, writeOut } from '../output.js';
import { tidyHeap } from '../tidy-heap.js';

interface ServeOptions {
  readonly config?: string;
  readonly serverName?: string;
  readonly publicBaseUrl?: string;
  readonly listen?: string;
  readonly port?: number;
  readonly enableRegistration?: true;
  readonly logLevel?: string;
  readonly printConfig?: true;
}

/** Read where it is there and no other is named. */
const CONFIG_FILE = 'stateroom.yaml';

export function addServe(program: Command): void {
  program
    .command('serve')
    .description(
      'Runs the Matrix homeserver on the data folder until it gets SIGTERM or Ctrl-C; a second one ends it at once. ' +
        `Settings come from a file (--config, $STATEROOM_CONFIG, or ${CONFIG_FILE} where there is one), environment variables and flags.`,
    )
    .option('--config <file>', 'configuration file')
    .option('--server-name <name>', 'name of the server, as in @user:example.org; for ever')
    .option('--listen <address>', 'address to listen on (default: 127.0.0.1)')
    .option('--port <n>', 'port to listen on (default: 8008)', portOf)
    .option('--public-base-url <url>', 'where clients reach the server')
    .option('--enable-registration', 'let anybody register')
    .option('--log-level <level>', 'fatal, error, warn, info, debug or trace')
    .option('--print-config', 'print a configuration file with every setting, and end')
    .addHelpText(
      'after',
      examples(
        ['serve', 'try it: a server named localhost, on 127.0.0.1:8008'],
        ['serve --server-name example.org --enable-registration', 'a server that anybody may join'],
        ['serve --print-config > stateroom.yaml', 'a file to begin with'],
        ['serve --config /etc/stateroom.yaml', 'run it'],
      ),
    )
    .action(async (options: ServeOptions, command: Command) => {
      if (options.printConfig === true) {
        const { printConfig } = await import('../../server/config/print.js');
        await writeOut(printConfig());
      } else await serve(options, command.optsWithGlobals<{ data?: string }>().data);
    });
}

async function serve(options: ServeOptions, data: string | undefined): Promise<void> {
  tidyHeap();
  tidyWhenIdle();
  // The server's dependencies take their time to load: no other command pays for them.
  const [{ loadConfig }, { openHomeserver }] = await Promise.all([
    import('../../server/config/config.js'),
    import('../../server/start.js'),
  ]);
  const config = loadConfig({
    file: configFile(options.config),
    environment: process.env,
    flags: {
      data,
      server_name: options.serverName,
      public_base_url: options.publicBaseUrl,
      'listen.address': options.listen,
      'listen.port': options.port,
      'registration.enabled': options.enableRegistration,
      'log.level': options.logLevel,
    },
  });
  const ending = signalled();
  const server = await openHomeserver(config);
  note(welcome(server));
  const signal = await ending;
  server.log.info({ signal }, 'ending; the same signal again ends at once');
  await server.close();
  server.log.info('ended');
}

function configFile(named: string | undefined): string | undefined {
  const fromEnvironment = process.env['STATEROOM_CONFIG'];
  if (named !== undefined) return named;
  if (fromEnvironment !== undefined && fromEnvironment !== '') return fromEnvironment;
  return existsSync(CONFIG_FILE) ? CONFIG_FILE : undefined;
}

/** Resolves at the first signal to end; the second ends the process, whatever it does. */
function signalled(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    let isEnding = false;
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      process.on(signal, () => {
        if (isEnding) process.exit(EXIT.failed);
        isEnding = true;
        resolve(signal);
      });
    }
  });
}

/** What to do next, for who started it. */
function welcome({ home, address, isFirstRun }: RunningHomeserver): string {
  const { serverName, publicBaseUrl, isRegistrationOpen } = home.options;
  const lines = [
    `${messageColors.green('stateroom')} serves ${messageColors.bold(serverName)} on ${address}`,
  ];
  if (isFirstRun && serverName === 'localhost') {
    lines.push(
      messageColors.yellow('Its name is localhost, which is for trying it out: a name can never be changed.'),
      'For a server to keep, start on a new data folder with --server-name example.org.',
    );
  }
  if (home.accounts.users.list().length === 0) {
    const how = isRegistrationOpen ? 'register in a Matrix client, or run' : 'make the first user with';
    lines.push(`Next: ${how}  stateroom admin user create NAME --admin`);
    lines.push(`      and log in with any Matrix client at ${publicBaseUrl}`);
  }
  return lines.join('\n');
}

function portOf(text: string): number {
  const port = Number(text);
  if (!/^[0-9]+$/.test(text) || port > 65_535)
    throw new InvalidArgumentError('It is a port from 0 to 65535.');
  return port;
}
