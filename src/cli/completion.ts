// Completion scripts, made from the commands themselves: what they do not say, no shell completes.

import type { Argument, Command, Option } from 'commander';

export const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

/** A word that may be completed, with what it means. */
interface Word {
  readonly word: string;
  readonly meaning: string;
}

/** One command as a shell sees it. */
interface Completed {
  readonly name: string;
  readonly summary: string;
  readonly options: readonly Word[];
  /** Values that its options and arguments may have. */
  readonly values: readonly { readonly after: string | undefined; readonly choices: readonly string[] }[];
}

/** The script for a shell; every command of the program must be loaded. */
export function completionScript(program: Command, shell: Shell): string {
  const globals = program.options.flatMap(wordsOf);
  const commands = program.commands.map((command) => completed(command));
  switch (shell) {
    case 'bash':
      return bash(commands, globals);
    case 'zsh':
      return zsh(commands, globals);
    case 'fish':
      return fish(commands, globals);
  }
}

function completed(command: Command): Completed {
  const ofOptions = command.options.map((option) => ({
    after: option.long ?? undefined,
    choices: option.argChoices ?? [],
  }));
  const ofArguments = command.registeredArguments.map((argument: Argument) => ({
    after: undefined,
    choices: argument.argChoices ?? [],
  }));
  return {
    name: command.name(),
    summary: command.summary() === '' ? firstSentence(command.description()) : command.summary(),
    options: command.options.flatMap(wordsOf),
    values: [...ofOptions, ...ofArguments].filter(({ choices }) => choices.length > 0),
  };
}

function wordsOf(option: Option): Word[] {
  return option.long === undefined || option.long === null
    ? []
    : [{ word: option.long, meaning: option.description }];
}

function firstSentence(text: string): string {
  return text.split(/[.;:](?:\s|$)/, 1)[0] ?? text;
}

const joined = (words: readonly Word[]): string => words.map(({ word }) => word).join(' ');

function bash(commands: readonly Completed[], globals: readonly Word[]): string {
  const cases = commands.map(({ name, options, values }) => {
    const ofOptions = values
      .filter(({ after }) => after !== undefined)
      .map(({ after, choices }) => `        ${after}) words='${choices.join(' ')}' ;;`);
    const ofArguments = values.filter(({ after }) => after === undefined).flatMap(({ choices }) => choices);
    const words = [...ofArguments, joined(options), joined(globals), '--help']
      .join(' ')
      .replace(/ +/g, ' ')
      .trim();
    return [
      `    ${name})`,
      `      words='${words}'`,
      ...(ofOptions.length === 0 ? [] : ['      case "$previous" in', ...ofOptions, '      esac']),
      '      ;;',
    ].join('\n');
  });
  return `# bash completion for stateroom
_stateroom() {
  local current="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD-1]}" command='' words='' i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "\${COMP_WORDS[i]}" in
      --data) ((i++)) ;;
      -*) ;;
      *) command="\${COMP_WORDS[i]}"; break ;;
    esac
  done
  COMPREPLY=()
  [[ $previous == --data ]] && return
  case "$command" in
    '') words='${commands.map(({ name }) => name).join(' ')} help ${joined(globals)} --help' ;;
${cases.join('\n')}
  esac
  local IFS=$' \\n'
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _stateroom stateroom
`;
}

/** For a single-quoted string of zsh and fish. */
const quoted = (text: string): string =>
  text
    .replaceAll("'", '’')
    .replaceAll(/[\\[\]:]/g, ' ')
    .replaceAll(/ +/g, ' ');

function zsh(commands: readonly Completed[], globals: readonly Word[]): string {
  const listed = commands.map(({ name, summary }) => `    '${name}:${quoted(summary)}'`).join('\n');
  const cases = commands.map(({ name, options, values }) => {
    const specs = [...options, ...globals].map(({ word, meaning }) => {
      const choices = values.find(({ after }) => after === word)?.choices;
      const value = choices === undefined ? '' : `:value:(${choices.join(' ')})`;
      return `        '${word}[${quoted(meaning)}]${value}'`;
    });
    const ofArguments = values.filter(({ after }) => after === undefined).flatMap(({ choices }) => choices);
    const rest =
      ofArguments.length === 0 ? "        '*:file:_files'" : `        '*:value:(${ofArguments.join(' ')})'`;
    return `      ${name})\n        _arguments -s \\\n${[...specs, rest].join(' \\\n')}\n        ;;`;
  });
  return `#compdef stateroom
_stateroom() {
  local -a commands
  commands=(
${listed}
  )
  local context state line
  _arguments -C '--data[data folder]:folder:_files -/' '--json[print JSON]' '1: :->command' '*:: :->words'
  case "$state" in
    command) _describe 'command' commands ;;
    words)
      case "$words[1]" in
${cases.join('\n')}
      esac
      ;;
  esac
}
if [[ $funcstack[1] == _stateroom ]]; then _stateroom "$@"; else compdef _stateroom stateroom; fi
`;
}

function fish(commands: readonly Completed[], globals: readonly Word[]): string {
  const lines = ['# fish completion for stateroom'];
  for (const { word, meaning } of globals) {
    lines.push(`complete -c stateroom -l ${word.slice(2)} -d '${quoted(meaning)}'`);
  }
  for (const { name, summary } of commands) {
    lines.push(`complete -c stateroom -n __fish_use_subcommand -f -a ${name} -d '${quoted(summary)}'`);
  }
  for (const { name, options, values } of commands) {
    const when = `complete -c stateroom -n '__fish_seen_subcommand_from ${name}'`;
    for (const { word, meaning } of options) {
      const choices = values.find(({ after }) => after === word)?.choices;
      const value = choices === undefined ? '' : ` -xa '${choices.join(' ')}'`;
      lines.push(`${when} -l ${word.slice(2)}${value} -d '${quoted(meaning)}'`);
    }
    for (const { after, choices } of values)
      if (after === undefined) lines.push(`${when} -f -a '${choices.join(' ')}'`);
  }
  return `${lines.join('\n')}\n`;
}
