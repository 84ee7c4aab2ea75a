"""Many messages: from a source, a bounded number at a time, to one outcome each."""
