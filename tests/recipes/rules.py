"""An optimizer and schedules of a user's, for tests that give them by path."""

import optax


def scaled_sgd(learning_rate, *, share, momentum=None):
    """Has an option that must be given."""
    return optax.chain(optax.sgd(learning_rate, momentum=momentum), optax.scale(share))


def no_rule(learning_rate):
    return learning_rate


def inverse_root(learning_rate, total_steps, epoch_steps, *, power=0.5, final_factor=0.0):
    def schedule(step):
        return learning_rate * ((1 + step / epoch_steps) ** -power + final_factor)

    return schedule


def no_schedule(learning_rate, total_steps, epoch_steps):
    return learning_rate
