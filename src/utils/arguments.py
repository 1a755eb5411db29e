"""How the entry scripts show their flags."""
from argparse import Action, ArgumentDefaultsHelpFormatter, RawDescriptionHelpFormatter


class HelpFormatter(RawDescriptionHelpFormatter, ArgumentDefaultsHelpFormatter):
    """Keeps the description as it is written, and adds the default to the help of each flag that has one."""

    def _get_help_string(self, action: Action) -> str | None:
        silent = action.default in (None, "") or action.default is False
        return action.help if silent else super()._get_help_string(action)
