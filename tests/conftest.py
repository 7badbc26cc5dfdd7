"""Settings for all tests."""

import hypothesis

# No deadline: on a busy machine every example takes longer.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")
