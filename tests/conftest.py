"""Settings of all tests."""

import hypothesis

# How long an example takes is no property of what is tested: beside other work all of them take longer.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")
