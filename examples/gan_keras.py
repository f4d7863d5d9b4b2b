"""A Keras custom loop with two optimizers, each tied to its model by apply_gradients."""

import tensorflow as tf
from tensorflow import keras
from tensorflow.keras import layers

generator = keras.Sequential([layers.Dense(16, activation="relu"), layers.Dense(2)])
discriminator = keras.Sequential([layers.Dense(16, activation="relu"), layers.Dense(1)])
cross_entropy = keras.losses.BinaryCrossentropy(from_logits=True)

generator_optimizer = keras.optimizers.Adam(1e-4, beta_1=0.5)
discriminator_optimizer = tf.keras.optimizers.RMSprop(
    learning_rate=1e-4,
    rho=0.9,  # as in the paper
    name="discriminator",
)


@tf.function
def train_step(real, noise):
    with tf.GradientTape() as generator_tape, tf.GradientTape() as discriminator_tape:
        fake = generator(noise, training=True)
        real_output = discriminator(real, training=True)
        fake_output = discriminator(fake, training=True)
        generator_loss = cross_entropy(tf.ones_like(fake_output), fake_output)
        discriminator_loss = cross_entropy(tf.ones_like(real_output), real_output)
    gradients = generator_tape.gradient(generator_loss, generator.trainable_variables)
    generator_optimizer.apply_gradients(zip(gradients, generator.trainable_variables))
    gradients = discriminator_tape.gradient(discriminator_loss, discriminator.trainable_variables)
    discriminator_optimizer.apply_gradients(zip(gradients, discriminator.trainable_variables))
    return generator_loss, discriminator_loss


for step in range(100):
    losses = train_step(tf.random.normal((32, 2)), tf.random.normal((32, 8)))
print([float(loss) for loss in losses])
