"""Why a window got its score: contributions, evidence and one plain sentence."""
