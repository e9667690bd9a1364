"""How a network of heads is taught by pairs: two light curves of one system, one of them deeper.

What noise makes of a shallow dip must not be surer than what a deep one shows. So a pair is seen
side by side, and its order is taught beside the right answer.
"""

from exoplanets.classifiers.keras_tools import keras

RISE = 0.7  # log-odds by which the deeper of a pair has to be above the other, at least


def make_learner(network, join=lambda odds: odds):
    """Two stars side by side through each head of a network, so that their order can be taught.

    `join` makes log-odds of a star per head, (n, n_heads), of what the network returns. The heads
    share the batches and nothing else. Output (n, n_heads, 2): log-odds.
    """
    pairs = [keras.Input((2, *part.shape[1:])) for part in network.inputs]
    stars = [keras.ops.reshape(part, (-1, *part.shape[2:])) for part in pairs]
    odds = join(network(stars if len(stars) > 1 else stars[0]))
    odds = keras.ops.reshape(odds, (-1, 2, odds.shape[-1]))
    return keras.Model(
        pairs if len(pairs) > 1 else pairs[0],
        keras.ops.transpose(odds, (0, 2, 1)),
        name=network.name.replace("weigher", "transit"),
    )


def make_loss(order_weight):
    """Per head, cross-entropy of both curves of a pair, and what their order lacks of `RISE`.

    The truth, (n, 2), is the right answer of both, 0 to 1, and what the deeper one's odds have to
    be: higher (1), lower (-1), or either (0).
    """

    def loss(truth, odds):
        answer, order = (truth[:, None, k : k + 1] for k in (0, 1))
        crossed = keras.ops.softplus(odds) - answer * odds
        rise = order * (odds[..., 1:] - odds[..., :1])
        fall = keras.ops.relu(RISE * keras.ops.abs(order) - rise)
        return keras.ops.mean(crossed + order_weight * fall, axis=2)

    return loss
