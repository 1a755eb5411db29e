"""How the entry scripts show their flags."""
from argparse import Action, ArgumentDefaultsHelpFormatter, RawDescriptionHelpFormatter


class HelpFormatter(RawDescriptionHelpFormatter, ArgumentDefaultsHelpFormatter):
    """Keeps the description as it is written, and adds the default to the help of each flag that has one."""

    def _get_help_string(self, action: Action) -> str | None:
        return action.help if action.default in (None, "") else super()._get_help_string(action)
