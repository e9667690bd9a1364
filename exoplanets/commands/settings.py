"""Hyper-parameters as options: one flag per setting of every classifier that is compared.

A setting's flag is its name. Where a classifier before it has a setting of that name, its own name
stands in front: `--batch-size` and `--transit-batch-size`.
"""

import argparse
import dataclasses

from exoplanets.classifiers.base import check_setting


def name_options(classifiers):
    """Where each setting of some subclasses of `Classifier` stands among the options.

    Returns a dict from the class of settings, which some share and some do not have, to a dict
    from option (`batch_size`) to `dataclasses.Field`.
    """
    options, taken = {}, set()
    for classifier in classifiers:
        settings = classifier.settings_class
        if settings is None or settings in options:
            continue
        options[settings] = {}
        for field in dataclasses.fields(settings):
            name = f"{classifier.name}_{field.name}" if field.name in taken else field.name
            options[settings][name] = field
        taken |= set(options[settings])
    return options


def add_settings(parser, classifiers):
    """Give a parser one flag per setting, and `--help-all`, which alone shows them."""
    hidden = {}

    class ShowAll(argparse.Action):
        def __call__(self, parser, *_):
            for action, text in hidden.items():
                action.help = text
            parser.print_help()
            parser.exit()

    for settings, options in name_options(classifiers).items():
        group = parser.add_argument_group(settings.__doc__.partition("\n")[0].rstrip("."))
        for name, field in options.items():
            several = isinstance(field.default, tuple)
            default = " ".join(map(str, field.default)) if several else field.default
            action = group.add_argument(
                f"--{name.replace('_', '-')}",
                type=_make_reader(field),
                nargs="+" if several else None,
                default=field.default,
                metavar="|".join(field.metadata["choices"] or ("N",)),
                help=argparse.SUPPRESS,
            )
            hidden[action] = f"{field.metadata['help']} (default: {default})".replace("%", "%%")
    # Without classifiers, before the slow imports, the flag is only taken note of.
    action = {"action": ShowAll, "nargs": 0} if classifiers else {"action": "store_true"}
    parser.add_argument("--help-all", **action, help="show the options of the networks too")


def read_settings(parser, args, classifiers):
    """The settings that were asked for, by their class.

    A value that does not fit the others ends the program.
    """
    found = {}
    for settings, options in name_options(classifiers).items():
        values = {field.name: getattr(args, name) for name, field in options.items()}
        values = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
        try:
            found[settings] = settings(**values)
        except ValueError as error:
            parser.error(str(error))
    return found


def _make_reader(field):
    """A function from the text of an option to one value of a setting, checked."""
    example = field.default[0] if isinstance(field.default, tuple) else field.default
    words = {int: "is no whole number", float: "is no number"}

    def read(text):
        try:
            value = type(example)(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"'{text}' {words[type(example)]}") from None
        try:
            check_setting(field, value)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None
        return value

    return read
