"""The synthetic drive: one scene, painted in thermal levels or in daylight colours."""
