// The program `stateroom`: its global options, and its commands of which one is real and the others are names.

import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { EXIT, type ExitCode } from './errors.js';
import { colors, messageColors } from './output.js';
import { COMMANDS } from './registry.js';

/** Completion speaks of all commands, so it needs all of them. */
const NEEDS_ALL = 'completion';

/** The program with the command of this name loaded. */
export async function makeProgram(name: string | undefined): Promise<Command> {
  const program = new Command('stateroom');
  program
    .description('The state of Matrix rooms: at any event, with its reasons.')
    .version(version(), '--version', 'print the version')
    .option('--data <dir>', 'data folder (default: $STATEROOM_DATA, else ./stateroom-data)')
    .option('--json', 'print one JSON value on stdout and nothing else there')
    .helpOption('-h, --help', 'show help')
    .helpCommand('help [command]', 'show help for a command')
    .addHelpText('after', GUIDE)
    .configureHelp({
      showGlobalOptions: true,
      styleTitle: (text) => colors.bold(text),
    })
    .configureOutput({
      outputError: (text, write) =>
        write(`${messageColors.red('stateroom:')} ${text.replace(/^error: /, '')}`),
    })
    .showHelpAfterError('(`stateroom help`, or --help after a command, shows what there is)')
    .exitOverride();
  for (const entry of COMMANDS) {
    if (entry.name === name || name === NEEDS_ALL) (await entry.load())(program);
    else program.command(entry.name).summary(entry.summary);
    program.commands.at(-1)?.helpGroup(entry.group);
  }
  return program;
}

const GUIDE = `
Exit codes: 0 done, 1 the answer is no, 2 wrong usage, 3 failed.

Begin with:
  $ stateroom demo
  $ stateroom generate --preset small --out room.jsonl --keys keys.json
  $ stateroom import room.jsonl --keys keys.json
  $ stateroom rooms`;

/** The command that the arguments name: the first word that is no option. */
export function commandIn(args: readonly string[]): string | undefined {
  let i = 0;
  let isHelp = false;
  for (; i < args.length; i++) {
    const arg = args[i] as string;
    if (arg === '--data') i++;
    else if (arg === 'help' && !isHelp) isHelp = true;
    else if (!arg.startsWith('-')) return arg;
  }
  return undefined;
}

/** Runs the program on its arguments; what commander has to say becomes our exit codes. */
export async function runProgram(program: Command, args: readonly string[]): Promise<ExitCode | undefined> {
  try {
    await program.parseAsync(args, { from: 'user' });
    return undefined;
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return error.exitCode === 0 ? EXIT.done : EXIT.usage;
  }
}

function version(): string {
  const text = readFileSync(new URL('../../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
