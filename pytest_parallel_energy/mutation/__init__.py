"""Mutations: distributions, drawing, de-duplication, order."""
