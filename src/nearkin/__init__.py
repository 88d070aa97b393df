"""nearkin: can a music embedding be trusted?"""
