"""The colours of the page, by day and by night, and what matplotlib makes of them."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Theme:
    """Colours as CSS writes them. `above` and `below` are told apart by people who see colours otherwise, too."""

    text: str
    faint: str
    line: str
    above: str
    below: str

    def settings(self) -> dict[str, Any]:
        """Settings of matplotlib."""
        return {
            "svg.fonttype": "none",
            "svg.hashsalt": "totesys",
            "font.family": FONT,
            "font.size": 10,
            "text.color": self.text,
            # A dollar is a dollar.
            "text.parse_math": False,
            "axes.labelcolor": self.faint,
            "axes.edgecolor": self.line,
            "axes.axisbelow": True,
            "axes.facecolor": "none",
            "axes.grid": True,
            "axes.spines.left": False,
            "axes.spines.right": False,
            "axes.spines.top": False,
            "figure.facecolor": "none",
            "grid.color": self.line,
            "grid.linewidth": 0.6,
            "savefig.facecolor": "none",
            "xtick.color": self.line,
            "xtick.labelcolor": self.faint,
            "ytick.color": self.line,
            "ytick.labelcolor": self.text,
            "ytick.left": False,
            "legend.frameon": False,
        }


# The one that comes with matplotlib; wider than those that the page shows instead, so that all has its place.
FONT = "DejaVu Sans"
LIGHT = Theme(text="#1d2530", faint="#5b6675", line="#d9dee5", above="#1f6fb2", below="#c2571a")
DARK = Theme(text="#e7ebf0", faint="#9aa6b5", line="#333d4a", above="#62b0ee", below="#f0975a")
